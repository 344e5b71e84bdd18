"""What only a GPU can show: `python -m scripts.gpu_check`."""
