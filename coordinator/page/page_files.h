// The files of this folder as the build found them; the build writes page_files.cc.
#ifndef HALCYON_COORDINATOR_PAGE_PAGE_FILES_H_
#define HALCYON_COORDINATOR_PAGE_PAGE_FILES_H_

namespace halcyon::coordinator {

extern const char* const kPageHtmlFile;
extern const char* const kPageStyle;
extern const char* const kPageScript;

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_PAGE_PAGE_FILES_H_
