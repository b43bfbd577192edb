"""The paper's numbers as printed, row by row: a second transcription, to check the first by.

A row has a method's mean and error of one column of numbers, then those of the next: SSIM to GT-1
and to GT-2 in Table 2; SSIM and rank correlation in Table 3, one table here for each network. The
errors of MNIST's SSIM keep the two minus signs of the print.

Source: Adebayo et al. 2020, Tables 2 and 3.
"""

LOST = None  # not printed
Row = tuple[float, float | None, float, float | None]

TABLE2: dict[str, Row] = {
    "Grad": (0.62, 0.012, 0.83, 0.013),
    "SGrad": (0.63, 0.013, 0.83, 0.013),
    "SGradSQ": (0.063, 0.0077, 0.89, 0.02),
    "VGrad": (0.075, 0.0089, 0.98, 0.0024),
    "Input-Grad": (0.69, 0.019, 0.85, 0.013),
    "IntGrad": (0.7, 0.019, 0.85, 0.012),
    "EGrad": (0.63, 0.024, 0.85, 0.012),
    "LIME": (0.59, 0.021, 0.88, 0.011),
    "Kernel SHAP": (0.58, 0.037, 0.78, 0.044),
    "GBP": (0.58, 0.019, 0.82, 0.013),
    "DConvNet": (0.6, 0.017, 0.83, 0.013),
    "LRP-EPS": (0.65, 0.039, 0.85, 0.012),
    "PNet": (0.51, 0.036, 0.85, 0.013),
    "PAttribution": (0.44, 0.018, 0.8, 0.018),
    "LRP-SPAF": (0.69, 0.028, 0.85, 0.013),
}
MNIST: dict[str, Row] = {
    "Grad": (0.7, 0.0093, 0.0013, 0.0016),
    "SGrad": (0.54, 0.012, 0.00088, 0.0032),
    "SGradSQ": (0.49, 0.016, 0.37, 0.026),
    "VGrad": (0.92, 0.0047, 0.37, 0.029),
    "Input-Grad": (0.71, -0.01, 0.0021, 0.002),
    "IntGrad": (0.69, 0.015, -0.003, 0.002),
    "EGrad": (0.71, 0.01, 0.002, LOST),
    "LIME": (0.46, 0.02, -0.01, 0.04),
    "Kernel SHAP": (0.41, 0.024, 0.034, 0.028),
    "GBP": (0.81, 0.014, 0.51, 0.014),
    "DConvNet": (0.5, -0.01, 0.027, 0.0006),
    "LRP-EPS": (0.77, 0.02, 0.011, 0.0034),
    "PNet": (0.58, 0.026, -0.14, 0.027),
    "PAttribution": (0.77, 0.009, 0.0082, 0.0026),
    "LRP-SPAF": (0.66, 0.03, 0.12, 0.023),
}
BIRDS_DOGS: dict[str, Row] = {
    "Grad": (0.7, 0.0083, 0.0012, 0.00085),
    "SGrad": (0.5, 0.011, 0.0078, 0.0017),
    "SGradSQ": (0.55, 0.013, 0.43, 0.009),
    "VGrad": (0.93, 0.0045, 0.25, 0.011),
    "Input-Grad": (0.72, 0.009, 0.0002, 0.0007),
    "IntGrad": (0.7, 0.013, 0.002, 0.001),
    "EGrad": (0.72, 0.009, 0.0025, 0.0007),
    "LIME": (0.72, 0.009, 0.18, 0.04),
    "Kernel SHAP": (0.82, 0.01, 0.067, 0.034),
    "GBP": (0.63, 0.009, 0.078, 0.008),
    "DConvNet": (0.63, 0.014, -0.05, 0.0011),
    "LRP-EPS": (0.79, 0.019, -0.013, 0.0027),
    "PNet": (0.53, 0.03, 0.25, 0.045),
    "PAttribution": (0.36, 0.025, -0.0095, 0.0023),
    "LRP-SPAF": (0.66, 0.035, 0.044, 0.02),
}
VGG16: dict[str, Row] = {
    "Grad": (0.57, 0.012, -0.0023, 0.0017),
    "SGrad": (0.46, 0.011, -0.0098, 0.0025),
    "SGradSQ": (0.5, 0.015, -0.0097, 0.02),
    "VGrad": (0.87, 0.0056, 0.028, 0.018),
    "Input-Grad": (0.64, 0.01, -0.0025, 0.0025),
    "IntGrad": (0.67, 0.015, -0.0017, 0.0016),
    "EGrad": (0.64, 0.011, -0.0025, 0.002),
    "LIME": (0.5, 0.015, 0.005, 0.033),
    "Kernel SHAP": (0.38, 0.03, -0.045, 0.024),
    "GBP": (0.8, 0.009, 0.25, 0.004),
    "DConvNet": (0.36, 0.01, -0.03, 0.0035),
    "LRP-EPS": (0.64, 0.02, 0.0045, 0.0018),
    "PNet": (0.66, 0.018, 0.32, 0.034),
    "PAttribution": (0.12, 0.0049, 0.066, 0.0053),
    "LRP-SPAF": (0.2, 0.024, 0.14, 0.019),
}
