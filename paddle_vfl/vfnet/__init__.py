"""VarifocalNet (arXiv 2008.13367), the detector for which the varifocal loss was made.

``paddle_vfl.enable()`` registers ``VFNet`` and ``VFNetHead`` with PaddleDetection, so that a config can name them.
"""
