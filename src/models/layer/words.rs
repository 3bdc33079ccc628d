//! Layers as words, read and written.

use std::fmt;
use std::str::FromStr;

use super::{LARGEST, Layer, Normalisation, UpsampledSize};
use crate::ops::{Activation, Interpolation, Pooling, Window2d};

impl Normalisation {
    fn read(words: &[&str]) -> Option<Normalisation> {
        match words {
            ["batch-norm"] => Some(Normalisation::Batch),
            ["layer-norm"] => Some(Normalisation::Group(1)),
            ["group-norm", groups] => number(&[groups], Layer::MOST_CHANNELS).map(Normalisation::Group),
            _ => None,
        }
    }
}

impl fmt::Display for Normalisation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Normalisation::Group(1) => f.write_str("layer-norm"),
            Normalisation::Group(groups) => write!(f, "group-norm {groups}"),
            Normalisation::Batch => f.write_str("batch-norm"),
        }
    }
}

/// A window as a layer says it, whose padding is by default half its reach.
fn halved(window: Window2d) -> Window2d {
    window.padding((window.reach() - 1) / 2)
}

impl FromStr for Layer {
    type Err = String;

    fn from_str(text: &str) -> Result<Layer, String> {
        let mut words = text.split_whitespace();
        let kind = words.next().ok_or("a layer has no name")?;
        let words: Vec<&str> = words.collect();
        let wrong = |form: &str| format!("{text:?} is no layer: it must be {form}");
        let layer = match kind {
            "dense" => number(&words, LARGEST).map(Layer::Dense).ok_or_else(|| wrong("dense N"))?,
            "conv" | "conv-transpose" => {
                let transposed = kind == "conv-transpose";
                let form = if transposed {
                    "conv-transpose N [k3] [s1] [p1] [d1] [HxW]"
                } else {
                    "conv N [k3] [s1] [p1] [d1]"
                };
                read_convolution(&words, transposed).ok_or_else(|| wrong(form))?
            }
            "flatten" if words.is_empty() => Layer::Flatten,
            "unflatten" => match words.as_slice() {
                [channels, size] => number(&[channels], Layer::MOST_CHANNELS).zip(read_size(size)),
                _ => None,
            }
            .map(|(channels, size)| Layer::Unflatten(channels, size))
            .ok_or_else(|| wrong("unflatten N HxW"))?,
            "group-norm" | "layer-norm" | "batch-norm" => {
                let norm = Normalisation::read(&[&[kind], words.as_slice()].concat());
                norm.map(Layer::Norm).ok_or_else(|| wrong("group-norm N, layer-norm or batch-norm"))?
            }
            "max-pool" | "avg-pool" => {
                let pooling = if kind == "max-pool" { Pooling::Max } else { Pooling::Average };
                let window = read_pool(&words).ok_or_else(|| wrong(&format!("{kind} N [sN] [pN]")))?;
                Layer::Pool(pooling, window)
            }
            "upsample" => read_upsample(&words).ok_or_else(|| wrong("upsample nearest|bilinear N|HxW"))?,
            "res" => read_res(&words).ok_or_else(|| wrong("res N [ACTIVATION] [NORM]"))?,
            name => match activation(name) {
                Some(activation) if words.is_empty() => Layer::Activation(activation),
                _ => {
                    let names = Activation::ALL.map(Activation::name).join(", ");
                    return Err(wrong(&format!(
                        "dense, conv, conv-transpose, res, group-norm, layer-norm, batch-norm, max-pool, avg-pool, upsample, \
                         flatten, unflatten, or one of {names}"
                    )));
                }
            },
        };
        Ok(layer)
    }
}

/// The one word as a number from 1 on.
fn number(words: &[&str], most: usize) -> Option<usize> {
    let [word] = words else { return None };
    word.parse().ok().filter(|number| (1..=most).contains(number))
}

fn read_size(word: &str) -> Option<[usize; 2]> {
    let (height, width) = word.split_once('x')?;
    Some([number(&[height], Window2d::LARGEST_SIDE)?, number(&[width], Window2d::LARGEST_SIDE)?])
}

fn read_convolution(words: &[&str], transposed: bool) -> Option<Layer> {
    let (channels, words) = words.split_first()?;
    let channels = number(&[channels], Layer::MOST_CHANNELS)?;
    let (mut window, mut padding, mut size, mut seen) = (Window2d::new(3), None, None, String::new());
    for word in words {
        let key = word.chars().next()?;
        if key.is_ascii_digit() && transposed && size.is_none() {
            size = Some(read_size(word)?);
            continue;
        }
        let value = word.get(1..)?.parse().ok().filter(|&value: &usize| value <= Layer::LARGEST_WINDOW)?;
        if seen.contains(key) || (value == 0 && key != 'p') {
            return None;
        }
        seen.push(key);
        match key {
            'k' => window.kernel = value,
            's' => window.stride = value,
            'd' => window.dilation = value,
            'p' => padding = Some(value),
            _ => return None,
        }
    }
    let window = padding.map_or_else(|| halved(window), |padding| window.padding(padding));
    Some(if transposed { Layer::ConvTranspose(channels, window, size) } else { Layer::Conv(channels, window) })
}

fn activation(name: &str) -> Option<Activation> {
    Activation::ALL.into_iter().find(|activation| activation.name() == name)
}

fn read_pool(words: &[&str]) -> Option<Window2d> {
    let (side, words) = words.split_first()?;
    let side = number(&[side], Layer::LARGEST_WINDOW)?;
    let mut window = Window2d::new(side).stride(side);
    for word in words {
        match (word.chars().next()?, word.get(1..)?.parse().ok().filter(|&value| value <= Layer::LARGEST_WINDOW)?) {
            ('s', stride @ 1..) => window.stride = stride,
            ('p', padding) => window.padding = padding,
            _ => return None,
        }
    }
    Some(window)
}

fn read_upsample(words: &[&str]) -> Option<Layer> {
    let [mode, size] = words else { return None };
    let mode = match *mode {
        "nearest" => Interpolation::Nearest,
        "bilinear" => Interpolation::Bilinear,
        _ => return None,
    };
    let size = match size.contains('x') {
        true => UpsampledSize::To(read_size(size)?),
        false => UpsampledSize::Times(number(&[size], Layer::LARGEST_WINDOW)?),
    };
    Some(Layer::Upsample(mode, size))
}

fn read_res(words: &[&str]) -> Option<Layer> {
    let (channels, words) = words.split_first()?;
    let (activation, words) = match words.first().and_then(|word| activation(word)) {
        Some(activation) => (activation, &words[1..]),
        None => (Activation::Relu, words),
    };
    let norm = if words.is_empty() { None } else { Some(Normalisation::read(words)?) };
    Some(Layer::Res(number(&[channels], Layer::MOST_CHANNELS)?, activation, norm))
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = |window: Window2d| {
            let Window2d { kernel, stride, padding, dilation } = window;
            let mut text = format!(" k{kernel}");
            for (key, value, default) in [('s', stride, 1), ('p', padding, halved(window).padding), ('d', dilation, 1)]
            {
                if value != default {
                    text += &format!(" {key}{value}");
                }
            }
            text
        };
        match *self {
            Layer::Dense(size) => write!(f, "dense {size}"),
            Layer::Conv(channels, window) => write!(f, "conv {channels}{}", numbers(window)),
            Layer::ConvTranspose(channels, window, size) => {
                write!(f, "conv-transpose {channels}{}", numbers(window))?;
                size.map_or(Ok(()), |[height, width]| write!(f, " {height}x{width}"))
            }
            Layer::Activation(activation) => f.write_str(activation.name()),
            Layer::Norm(norm) => write!(f, "{norm}"),
            Layer::Pool(pooling, Window2d { kernel, stride, padding, .. }) => {
                let kind = if pooling == Pooling::Max { "max-pool" } else { "avg-pool" };
                write!(f, "{kind} {kernel}")?;
                if stride != kernel {
                    write!(f, " s{stride}")?;
                }
                if padding > 0 { write!(f, " p{padding}") } else { Ok(()) }
            }
            Layer::Upsample(mode, size) => {
                let mode = if mode == Interpolation::Nearest { "nearest" } else { "bilinear" };
                match size {
                    UpsampledSize::Times(times) => write!(f, "upsample {mode} {times}"),
                    UpsampledSize::To([height, width]) => write!(f, "upsample {mode} {height}x{width}"),
                }
            }
            Layer::Res(channels, activation, norm) => {
                write!(f, "res {channels} {}", activation.name())?;
                norm.map_or(Ok(()), |norm| write!(f, " {norm}"))
            }
            Layer::Flatten => f.write_str("flatten"),
            Layer::Unflatten(channels, [height, width]) => write!(f, "unflatten {channels} {height}x{width}"),
        }
    }
}

impl From<Layer> for String {
    fn from(layer: Layer) -> String {
        layer.to_string()
    }
}

impl TryFrom<String> for Layer {
    type Error = String;
    fn try_from(text: String) -> Result<Layer, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_read_and_written() {
        for (text, written) in [
            ("dense 256", "dense 256"),
            ("conv 32 k4 s2", "conv 32 k4 s2"),
            ("conv 32", "conv 32 k3"),
            ("conv  8 d2 k3 p0 s1", "conv 8 k3 p0 d2"),
            ("conv-transpose 3 k4 s2 33x47", "conv-transpose 3 k4 s2 33x47"),
            ("leaky-relu", "leaky-relu"),
            ("flatten", "flatten"),
            ("unflatten 64 7x7", "unflatten 64 7x7"),
            ("group-norm 8", "group-norm 8"),
            ("group-norm 1", "layer-norm"),
            ("batch-norm", "batch-norm"),
            ("max-pool 2", "max-pool 2"),
            ("avg-pool 3 p1 s2", "avg-pool 3 s2 p1"),
            ("upsample nearest 2", "upsample nearest 2"),
            ("upsample bilinear 33x47", "upsample bilinear 33x47"),
            ("res 32", "res 32 relu"),
            ("res 32 silu group-norm 8", "res 32 silu group-norm 8"),
        ] {
            let layer: Layer = text.parse().unwrap();
            assert_eq!(layer.to_string(), written);
            assert_eq!(written.parse::<Layer>().unwrap(), layer);
        }
        for text in [
            "",
            "dense",
            "dense 0",
            "dense 1 2",
            "conv",
            "conv 3 k",
            "conv 3 k0",
            "conv 3 k3 k5",
            "conv 3 x4",
            "conv 3 3x3",
            "conv 70000",
            "conv 3 k256",
            "relu 3",
            "unflatten 3",
            "unflatten 3 4x",
            "pool 2",
            "dense -1",
            "conv 3 é",
            "group-norm",
            "max-pool",
            "max-pool 2 s0",
            "upsample nearest 40000x2",
            "upsample 2",
            "upsample cubic 2",
            "res",
            "res 3 norm",
            "batch-norm 3",
        ] {
            let error = text.parse::<Layer>().unwrap_err();
            assert!(error.contains("no layer: it must be") || error.contains("no name"), "{text}: {error}");
        }
    }
}
