"""Trains the small network that sharpens the segmenter's mask (`models/matting/refiner.onnx`).

    python -m train_matting [--shared ../shared] [--minutes 20]

For maintainers only; the product runs the exported file through OpenCV and never imports this.
"""
