"""Fits the coefficients of `normal` in src/rng.rs and shaders/rng.wgsl, and prints them with their error.

Needs numpy alone and takes a few seconds:  python tests/interop/fit_normal.py

The target is the inverse normal CDF by Wichura's PPND16 (Algorithm AS 241, Applied Statistics 37, 1988, relative
error about 1e-16) at every input the transform can see: tails a = t / 2^25, t odd, t < 2^24. With x = 1 - 2a and
w = -log2(4a (1 - a)), the normal is x * P(w) (Giles, "Approximating the erfinv function", GPU Computing Gems 2010).
Each polynomial is a minimax fit by Lawson's iteration (least squares, reweighted by the error). Coefficients are
rounded to f32 from the constant term upwards, the rest being fitted again after each.
"""

import numpy as np

SPLIT = 8.0  # between centre and tail, in units of w
ORIGIN_OF_MANTISSA = 2 / 3  # mantissas lie in [2/3, 4/3)


def horner(coefficients, x):
    total = np.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        total = total * x + c
    return total


def ppnd16(a, q):
    """The normal with upper tail a, given q = 1/2 - a as well."""
    centre = (
        [3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
         4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3],
        [1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
         2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3])
    middle = (
        [1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
         1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4],
        [1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
         1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9])
    far = (
        [6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
         2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7],
        [1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
         7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15])
    square = 0.180625 - q * q
    root = np.sqrt(-np.log(a))
    near = q * horner(centre[0], square) / horner(centre[1], square)
    mid = horner(middle[0], root - 1.6) / horner(middle[1], root - 1.6)
    out = horner(far[0], root - 5.0) / horner(far[1], root - 5.0)
    return np.where(q <= 0.425, near, np.where(root <= 5.0, mid, out))


def lawson(basis, target, weight):
    """Coefficients that make the largest weight * |target - basis @ c| small."""
    scale = np.abs(basis * weight[:, None]).max(axis=0)
    scaled = basis * weight[:, None] / scale
    share = np.ones(len(target))
    best, found = np.inf, None
    for _ in range(80):
        root = np.sqrt(share / share.sum())
        c = np.linalg.lstsq(scaled * root[:, None], target * weight * root, rcond=None)[0]
        error = np.abs(target * weight - scaled @ c)
        if error.max() < best:
            best, found = error.max(), c / scale
        share = share * error / error.max() + 1e-30
    return found


def fit(name, u, target, weight, degree):
    """An f32 polynomial of `degree` in u, constant term first."""
    powers = u[:, None] ** np.arange(degree + 1)
    rest, out = target.copy(), []
    for i in range(degree + 1):
        out.append(np.float32(lawson(powers[:, i:], rest, weight)[0]))
        rest = rest - np.float64(out[-1]) * powers[:, i]
    print(f"{name}, largest weighted error {np.abs(rest * weight).max():.2e}")
    print("    " + ", ".join(str(c) for c in out))
    return out


t = np.arange(1, 2**24, 2, dtype=np.float64)
x = 1.0 - t / 2**24
normal = ppnd16(t / 2**25, x / 2)
w = -np.log2((t / 2**24) * (2.0 - t / 2**24))  # falls as t grows
P = normal / x


def nodes(low, high):
    """Inputs near 1500 Chebyshev extrema of [low, high]."""
    wanted = low + (high - low) * (1 - np.cos(np.linspace(0, np.pi, 1500))) / 2
    at = np.unique(np.clip(np.searchsorted(-w, -wanted), 0, len(w) - 1))
    return w[at], P[at]


# log2(1 + f) = f L(f); the weight asks for absolute error, and for a little relative error near f = 0.
span = ORIGIN_OF_MANTISSA
f = span - 1 + span * (1 - np.cos(np.linspace(0, np.pi, 1200))) / 2
f = f[np.abs(f) > 1e-6]
log2_coefficients = fit("LOG2, degree 7 in f", f, np.log2(1 + f) / f, np.abs(f) + 0.02, 7)
# P by its relative error.
u, p = nodes(0.0, SPLIT)
centre = fit("CENTRE, degree 9 in w", u, p, 1 / p, 9)
u, p = nodes(SPLIT, w[0])
tail = fit("TAIL, degree 9 in w - SPLIT", u - SPLIT, p, 1 / p, 9)

# The transform in f32, operation for operation.
a = (t / 2**24).astype(np.float32)
bits = (a * (np.float32(2) - a)).view(np.int32)
exponent = (bits - np.float32(ORIGIN_OF_MANTISSA).view(np.int32)) >> 23
f = (bits - (exponent << 23)).view(np.float32) - np.float32(1)
w = -(exponent.astype(np.float32) + f * horner(log2_coefficients, f))
scale = np.where(w < SPLIT, horner(centre, w), horner(tail, w - np.float32(SPLIT)))
error = np.abs((np.float32(1) - a) * scale - normal)
print(f"over all inputs: absolute error {error.max():.3e}, relative error {(error / normal).max():.3e}")
