"""The only room that knows the kernel: processes, descriptors, signals, files, sockets, clocks and the event loop."""
