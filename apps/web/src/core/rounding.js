/** Round to the nearest integer, halves to even, as NumPy and OpenCV do. */
export function roundHalfToEven(value) {
  const rounded = Math.round(value);
  return Math.abs(value % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}
