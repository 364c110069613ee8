/* The layers of minidet/reference and the network that comes with the package, in JavaScript: the same names and
 * arguments as in layers.py, normalisation.py, architecture.py and tape.py. tests/site/test_network.py compares them.
 *
 * A map is {shape: [channels, rows, columns], data: Float64Array}, a filter bank the same with shape [O, C, k, k]. There
 * is one image, and nothing is checked. A gradient function takes what comes back to the layer's output first.
 *
 * A classic script, as minidet.js; it defines the global `layers`.
 */
"use strict";

const layers = (() => {
  const map = (shape, data = new Float64Array(shape.reduce((a, b) => a * b, 1))) => ({ shape, data });

  // ---- layers.py

  /** Every window of a map as a row of numbers: channel, then row, then column of the window. (H' W', C k k) */
  function windows({ shape: [channels, height, width], data }, k, stride, padding) {
    const rows = Math.floor((height + 2 * padding - k) / stride) + 1;
    const columns = Math.floor((width + 2 * padding - k) / stride) + 1;
    const length = channels * k * k, out = new Float64Array(rows * columns * length);
    for (let i = 0, at = 0; i < rows; i++)
      for (let j = 0; j < columns; j++)
        for (let c = 0; c < channels; c++)
          for (let u = 0; u < k; u++) {
            const y = i * stride + u - padding, line = (c * height + y) * width;
            for (let v = 0; v < k; v++, at++) {
              const x = j * stride + v - padding;
              if (y >= 0 && y < height && x >= 0 && x < width) out[at] = data[line + x];
            }
          }
    return { rows, columns, length, data: out };
  }

  /** The scalar product of every filter with every window; two filters and four windows at a time, so that a number is
   * read less often. Past the last one, the last is taken again. */
  function products(weight, filters, bias, { rows, columns, length, data }) {
    const places = rows * columns, found = map([filters, rows, columns]), out = found.data;
    for (let p = 0; p < places; p += 4) {
      const at = [0, 1, 2, 3].map(i => Math.min(p + i, places - 1)), [x0, x1, x2, x3] = at.map(i => i * length);
      for (let o = 0; o < filters; o += 2) {
        const other = Math.min(o + 1, filters - 1), w0 = o * length, w1 = other * length;
        let a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
        for (let i = 0; i < length; i++) {
          const a = weight[w0 + i], b = weight[w1 + i];
          const v0 = data[x0 + i], v1 = data[x1 + i], v2 = data[x2 + i], v3 = data[x3 + i];
          a0 += a * v0; a1 += a * v1; a2 += a * v2; a3 += a * v3;
          b0 += b * v0; b1 += b * v1; b2 += b * v2; b3 += b * v3;
        }
        const line = o * places, next = other * places, ca = bias ? bias[o] : 0, cb = bias ? bias[other] : 0;
        out[line + at[0]] = a0 + ca; out[line + at[1]] = a1 + ca; out[line + at[2]] = a2 + ca; out[line + at[3]] = a3 + ca;
        out[next + at[0]] = b0 + cb; out[next + at[1]] = b1 + cb; out[next + at[2]] = b2 + cb; out[next + at[3]] = b3 + cb;
      }
    }
    return found;
  }

  const conv2d = (x, weight, bias = null, stride = 1, padding = 0) =>
    products(weight.data, weight.shape[0], bias, windows(x, weight.shape[2], stride, padding));

  /** Every window collects the filters that met it, times what came back; then every pixel its places in the windows. */
  function conv2d_grad_x(grad, x, weight, stride = 1, padding = 0) {
    const [channels, height, width] = x.shape, [filters, rows, columns] = grad.shape, k = weight.shape[2];
    const length = channels * k * k, places = rows * columns, one = new Float64Array(length), found = map(x.shape);
    for (let p = 0; p < places; p++) {
      let any = false;
      for (let o = 0; o < filters; o++) {
        const g = grad.data[o * places + p];
        if (g === 0) continue; // after a ReLU, half of them
        any = true;
        for (let i = 0, w = o * length; i < length; i++, w++) one[i] += g * weight.data[w];
      }
      if (!any) continue;
      const top = Math.floor(p / columns) * stride - padding, left = p % columns * stride - padding;
      for (let c = 0, at = 0; c < channels; c++)
        for (let y = top; y < top + k; y++)
          for (let x_ = left; x_ < left + k; x_++, at++)
            if (y >= 0 && y < height && x_ >= 0 && x_ < width) found.data[(c * height + y) * width + x_] += one[at];
      one.fill(0);
    }
    return found;
  }

  /** What came back to a filter at every place, times the window there; four places at a time. */
  function conv2d_grad_weight(grad, seen) {
    const [filters, rows, columns] = grad.shape, { length, data } = seen, places = rows * columns;
    const found = new Float64Array(filters * length);
    for (let p = 0; p < places; p += 4) {
      const at = [0, 1, 2, 3].map(i => Math.min(p + i, places - 1)), [x0, x1, x2, x3] = at.map(i => i * length);
      for (let o = 0; o < filters; o++) {
        const [g0, g1, g2, g3] = at.map((place, i) => (p + i < places ? grad.data[o * places + place] : 0));
        if (g0 === 0 && g1 === 0 && g2 === 0 && g3 === 0) continue; // no box is learnt where no object is
        for (let i = 0, w = o * length; i < length; i++, w++)
          found[w] += g0 * data[x0 + i] + g1 * data[x1 + i] + g2 * data[x2 + i] + g3 * data[x3 + i];
      }
    }
    return found;
  }

  function relu({ shape, data }) {
    const y = map(shape);
    for (let i = 0; i < data.length; i++) y.data[i] = data[i] > 0 ? data[i] : 0;
    return y;
  }

  function relu_grad(grad, { shape, data }) {
    const found = map(shape);
    for (let i = 0; i < data.length; i++) found.data[i] = data[i] > 0 ? grad.data[i] : 0;
    return found;
  }

  /** Where in the map the largest value of every window is; of equal ones the first. */
  function places_of_largest({ shape: [channels, height, width], data }, size, stride, padding) {
    const rows = Math.floor((height + 2 * padding - size) / stride) + 1;
    const columns = Math.floor((width + 2 * padding - size) / stride) + 1;
    const found = new Int32Array(channels * rows * columns);
    for (let c = 0, at = 0; c < channels; c++)
      for (let i = 0; i < rows; i++)
        for (let j = 0; j < columns; j++, at++) {
          let best = -1;
          for (let y = Math.max(i * stride - padding, 0); y < Math.min(i * stride - padding + size, height); y++)
            for (let x = Math.max(j * stride - padding, 0); x < Math.min(j * stride - padding + size, width); x++) {
              const place = (c * height + y) * width + x;
              if (best < 0 || data[place] > data[best]) best = place;
            }
          found[at] = best;
        }
    return { shape: [channels, rows, columns], found };
  }

  function max_pool2d(x, size = 3, stride = 2, padding = 1) {
    const { shape, found } = places_of_largest(x, size, stride, padding);
    return map(shape, read(x.data, found));
  }

  function read(data, places) {
    const found = new Float64Array(places.length);
    for (let i = 0; i < places.length; i++) found[i] = data[places[i]];
    return found;
  }

  function max_pool2d_grad(grad, x, size = 3, stride = 2, padding = 1) {
    const out = map(x.shape);
    places_of_largest(x, size, stride, padding).found.forEach((place, i) => { out.data[place] += grad.data[i]; });
    return out;
  }

  /** Which pixel of the smaller map each pixel of the larger one copies. */
  function sources([channels, height, width], [rows, columns]) {
    const found = new Int32Array(channels * rows * columns);
    for (let c = 0, at = 0; c < channels; c++)
      for (let i = 0; i < rows; i++)
        for (let j = 0; j < columns; j++, at++)
          found[at] = (c * height + Math.floor(i * height / rows)) * width + Math.floor(j * width / columns);
    return found;
  }

  const upsample_nearest = (x, size) => map([x.shape[0], ...size], read(x.data, sources(x.shape, size)));

  function upsample_nearest_grad(grad, x) {
    const out = map(x.shape);
    sources(x.shape, grad.shape.slice(1)).forEach((place, i) => { out.data[place] += grad.data[i]; });
    return out;
  }

  // ---- normalisation.py

  /** (v - centre) * scale + shift, each of the three being the channel's. */
  function affine({ shape, data }, centre, scale, shift) {
    const area = shape[1] * shape[2], y = map(shape);
    for (let c = 0, i = 0; c < shape[0]; c++)
      for (const end = i + area; i < end; i++) y.data[i] = (data[i] - centre[c]) * scale[c] + shift[c];
    return y;
  }

  const zeros = array => new Float64Array(array.length);
  const frozen_scale = (weight, variance, eps) => weight.map((w, c) => w / Math.sqrt(variance[c] + eps));

  const frozen_batch_norm = (x, weight, bias, mean, variance, eps = 1e-5) =>
    affine(x, mean, frozen_scale(weight, variance, eps), bias);

  const frozen_batch_norm_grad = (grad, weight, variance, eps = 1e-5) =>
    affine(grad, zeros(weight), frozen_scale(weight, variance, eps), zeros(weight));

  /** Every group standardised: z, and the s of each group that it was divided by. */
  function standardised({ shape, data }, groups, eps) {
    const length = data.length / groups, z = new Float64Array(data.length), s = new Float64Array(groups);
    for (let g = 0; g < groups; g++) {
      let mean = 0, square = 0;
      for (let i = g * length; i < (g + 1) * length; i++) mean += data[i] / length;
      for (let i = g * length; i < (g + 1) * length; i++) square += (data[i] - mean) ** 2 / length;
      s[g] = Math.sqrt(square + eps);
      for (let i = g * length; i < (g + 1) * length; i++) z[i] = (data[i] - mean) / s[g];
    }
    return { z: map(shape, z), s, length };
  }

  const group_norm = (x, groups, weight, bias, eps = 1e-5) =>
    affine(standardised(x, groups, eps).z, zeros(weight), weight, bias);

  /** The gradient of x alone. */
  function group_norm_grad(grad, x, groups, weight, eps = 1e-5) {
    const { z, s, length } = standardised(x, groups, eps), g = affine(grad, zeros(weight), weight, zeros(weight));
    for (let group = 0; group < groups; group++) {
      const first = group * length, last = first + length;
      let mean = 0, along = 0;
      for (let i = first; i < last; i++) { mean += g.data[i] / length; along += g.data[i] * z.data[i] / length; }
      for (let i = first; i < last; i++) g.data[i] = (g.data[i] - mean - z.data[i] * along) / s[group];
    }
    return g;
  }

  function add(a, b) {
    const sum = map(a.shape);
    for (let i = 0; i < sum.data.length; i++) sum.data[i] = a.data[i] + b.data[i];
    return sum;
  }

  return {
    map, windows, products, conv2d, conv2d_grad_x, conv2d_grad_weight, relu, relu_grad, max_pool2d, max_pool2d_grad,
    upsample_nearest, upsample_nearest_grad, frozen_batch_norm, frozen_batch_norm_grad, group_norm, group_norm_grad, add,
  };
})();

if (typeof module !== "undefined") module.exports = layers;
