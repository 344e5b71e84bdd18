"""Array maths around the network: source image -> model input, alpha matte -> cutout.

Pure functions on NumPy arrays. No files, no runtime, no HTTP. Vocabulary: docs/glossary.md.
"""
