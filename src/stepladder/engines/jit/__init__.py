"""The engine that writes a network's training step as LLVM IR and compiles it in this process: see docs/engine.md."""
