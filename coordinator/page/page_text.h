// The page itself: page.html with page.css and the .js files of this folder in it, which the build
// takes into the program (cmake/EmbedText.cmake).
#ifndef HALCYON_COORDINATOR_PAGE_PAGE_TEXT_H_
#define HALCYON_COORDINATOR_PAGE_PAGE_TEXT_H_

#include <string>

namespace halcyon::coordinator {

const std::string& PageHtml();

// Of every answer: the page's own style and script, known by their digests, requests to the server
// that it came from, and nothing else.
const std::string& ContentSecurityPolicy();

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_PAGE_PAGE_TEXT_H_
