"""Machine code: its layout, LLVM's text, the CPU it is for, compiling and the cache of what was compiled."""
