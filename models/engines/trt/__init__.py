"""TensorRT: plans built, cached, trusted and run. Importing this loads no TensorRT and no CUDA."""
