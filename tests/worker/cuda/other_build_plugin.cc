// Takes the place of a GPU plugin that was built with another version of the program.
extern "C" const char* HalcyonGpuPluginBuild() { return "halcyon gpu plugin 1"; }
extern "C" const void* HalcyonGpuPlugin() { return nullptr; }
