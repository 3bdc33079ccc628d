//! Linking: kernels' WGSL files become the one text of a dispatch.
//!
//! A kernel is plain files, joined as they are; WGSL allows declarations in any order. Where several kernels share a dispatch,
//! what each file declares gets the kernel's number behind its name (`K` becomes `K_0` and `K_1`), storage bindings are
//! numbered through, and `common/fork_*.wgsl` gives each kernel its workgroups. Files in `common/` are there once. A buffer
//! that two kernels read as the same type is bound once.
//!
//! The `wesl` crate (imports, modules, name mangling for WGSL) was tried for this, version 0.4, the newest for this Rust, with
//! two products in one kernel: 0.9 ms a kernel, and files that say what they import. It was not taken: it added 4.1 MB to a
//! binary of 40 MB and three minutes on two cores to a build of three and a half, for what is two hundred lines here. Its
//! mangled names (`package_p0__1operand_a__1load_a`) also read worse in a validation message.

use super::recording::Binding;
use crate::error::{Result, graph_error};
use crate::ops::{Entry, Fragment, Kernel, fragment};
use std::collections::BTreeMap;

/// The most kernels that share a dispatch.
pub const MAX_KERNELS: usize = 4;

/// A kernel, and what it binds from binding 1 on.
#[derive(Clone, Debug)]
pub struct Member {
    /// The kernel.
    pub kernel: Kernel,
    /// Its buffers.
    pub bindings: Vec<Binding>,
}

/// The text of a dispatch, its numbers and its buffers.
#[derive(Clone, Debug, PartialEq)]
pub struct Linked {
    /// Names of the files.
    pub name: String,
    /// The WGSL; the entry point is `main`.
    pub source: String,
    /// Values of its `override` constants.
    pub constants: BTreeMap<String, f64>,
    /// Its buffers, from binding 1 on.
    pub bindings: Vec<Binding>,
}

/// Links kernels of one workgroup size and entry into one dispatch.
///
/// # Errors
/// [`crate::Error::Graph`] where there are too many, or they differ in workgroup or entry.
pub fn link(members: &[Member]) -> Result<Linked> {
    let [first, others @ ..] = members else { return graph_error("a dispatch has no kernel") };
    let (entry, workgroup) = (first.kernel.entry, first.kernel.workgroup);
    let alike = |member: &Member| (member.kernel.entry, member.kernel.workgroup) == (entry, workgroup);
    if members.len() > MAX_KERNELS || !others.iter().all(alike) || (entry == Entry::Main && !others.is_empty()) {
        return graph_error(format!("{} kernels can't share a dispatch: {}", members.len(), names(members)));
    }
    let mut text = Text::default();
    if entry != Entry::Main {
        text.add_common(match entry {
            Entry::RunSubgroup => &fragment!("common/main_subgroup.wgsl"),
            _ if members
                .iter()
                .any(|member| member.kernel.fragments.contains(&fragment!("common/tree_subgroups.wgsl"))) =>
            {
                &fragment!("common/main_subgroups.wgsl")
            }
            _ => &fragment!("common/main.wgsl"),
        });
        text.constants.insert("WORKGROUP".to_owned(), workgroup as f64);
    }
    match members.len() {
        1 => text.add_alone(first),
        count => {
            text.add_common(match count {
                2 => &fragment!("common/fork_2.wgsl"),
                3 => &fragment!("common/fork_3.wgsl"),
                _ => &fragment!("common/fork_4.wgsl"),
            });
            for (number, member) in members.iter().enumerate() {
                if number + 1 < count {
                    text.constants.insert(format!("GROUPS_{number}"), member.kernel.workgroups() as f64);
                }
                text.add_numbered(member, number);
            }
        }
    }
    let Text { source, constants, bindings, .. } = text;
    Ok(Linked { name: names(members), source, constants, bindings })
}

fn names(members: &[Member]) -> String {
    let of = |member: &Member| {
        let files = member.kernel.fragments.iter().filter(|fragment| !fragment.is_common());
        files.map(|fragment| fragment.name).collect::<Vec<_>>().join(" + ")
    };
    members.iter().map(of).collect::<Vec<_>>().join(" | ")
}

#[derive(Default)]
struct Text {
    source: String,
    common: Vec<&'static str>,
    constants: BTreeMap<String, f64>,
    bindings: Vec<Binding>,
    /// Variables of bindings: the number, the declaration after the name, the name.
    variables: Vec<(usize, String, String)>,
}

impl Text {
    fn add_common(&mut self, fragment: &Fragment) {
        if !self.common.contains(&fragment.name) {
            self.common.push(fragment.name);
            self.source += fragment.source;
            self.source += "\n";
        }
    }

    fn add_alone(&mut self, member: &Member) {
        let kernel = &member.kernel;
        let text = kernel.fragments.iter().map(|fragment| kernel.text(fragment) + "\n").collect::<String>();
        match kernel.bindings.iter().any(|(name, _)| *name == "SCRATCH") {
            true => self.add_bound(&text, &member.bindings),
            false => {
                self.source += &text;
                self.bindings.clone_from(&member.bindings);
            }
        }
        self.constants.extend(member.kernel.constants.iter().map(|&(name, value)| (name.to_owned(), value)));
    }

    /// Adds the text of a kernel that declares only some of an op's bindings, as each of two does that work one after the other:
    /// these are numbered through.
    fn add_bound(&mut self, text: &str, bindings: &[Binding]) {
        for line in text.lines() {
            match storage(line) {
                // Binding 0 is the step.
                Some((at @ 1.., name, declaration)) => {
                    self.bindings.push(bindings[at - 1]);
                    let number = self.bindings.len();
                    self.source += &format!("@group(0) @binding({number}) {}", declaration.replace('$', name));
                }
                _ => self.source += line,
            }
            self.source += "\n";
        }
    }

    fn add_numbered(&mut self, member: &Member, number: usize) {
        let kernel = &member.kernel;
        let (common, own): (Vec<_>, Vec<_>) = kernel.fragments.iter().partition(|fragment| fragment.is_common());
        common.into_iter().for_each(|fragment| self.add_common(fragment));
        let own = own.iter().map(|fragment| kernel.text(fragment) + "\n").collect::<String>();
        let mut new: BTreeMap<String, String> =
            declared(&own).into_iter().map(|name| (name.to_owned(), format!("{name}_{number}"))).collect();
        let mut lines = String::new();
        for line in own.lines() {
            match storage(line) {
                Some((at, name, declaration)) => {
                    let (binding, declaration) = (member.bindings[at - 1], renamed(&declaration, &new));
                    if let Some(known) = self.known(binding, &declaration) {
                        new.insert(name.to_owned(), known);
                        continue;
                    }
                    self.bindings.push(binding);
                    let (at, name) = (self.bindings.len(), format!("{name}_{number}"));
                    lines += &format!("@group(0) @binding({at}) {}\n", declaration.replace('$', &name));
                    self.variables.push((at, declaration, name));
                }
                None => lines = lines + line + "\n",
            }
        }
        self.source += &renamed(&lines, &new);
        let names = kernel.constants.iter().map(|&(name, value)| (new.get(name).map_or(name, String::as_str), value));
        self.constants.extend(names.map(|(name, value)| (name.to_owned(), value)));
    }

    /// The variable of a buffer that is read in the same way already.
    fn known(&self, binding: Binding, declaration: &str) -> Option<String> {
        let same = |(at, other, _): &&(usize, String, String)| {
            self.bindings[at - 1] == binding && !binding.writes && other == declaration
        };
        self.variables.iter().find(same).map(|(_, _, name)| name.clone())
    }
}

/// A storage variable's binding, name, and declaration with `$` for the name: of
/// `@group(0) @binding(1) var<storage, read> a: array<f32>;`.
fn storage(line: &str) -> Option<(usize, &str, String)> {
    let (at, declaration) = line.strip_prefix("@group(0) @binding(")?.split_once(") ")?;
    let (kind, rest) = declaration.split_once("> ")?;
    let (name, ty) = rest.split_once(':')?;
    Some((at.parse().ok()?, name, format!("{kind}> $:{ty}")))
}

/// A piece of WGSL: a word (an identifier, a keyword or a number), or what is between two.
enum Piece<'a> {
    Word(&'a str),
    Other(&'a str),
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let in_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if in_word(first) {
            rest.find(|c| !in_word(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (piece, after) = rest.split_at(end);
        pieces.push(if in_word(first) { Piece::Word(piece) } else { Piece::Other(piece) });
        rest = after;
    }
    pieces
}

/// Names that WGSL declares outside functions and structs.
fn declared(text: &str) -> Vec<&str> {
    let (mut depth, mut names) = (0, Vec::new());
    let mut pieces = pieces(text).into_iter().filter(|piece| !matches!(piece, Piece::Other(" " | "\n")));
    while let Some(piece) = pieces.next() {
        match piece {
            Piece::Other("{" | "(") => depth += 1,
            Piece::Other("}" | ")") => depth -= 1,
            Piece::Word("fn" | "const" | "override" | "struct" | "alias" | "var") if depth == 0 => {
                let mut next = pieces.next();
                if matches!(next, Some(Piece::Other("<"))) {
                    // Of var<storage, read>.
                    next = pieces.by_ref().skip_while(|piece| !matches!(piece, Piece::Other(">"))).nth(1);
                }
                if let Some(Piece::Word(name)) = next {
                    names.push(name);
                }
            }
            _ => {}
        }
    }
    names
}

/// The text with names replaced; not those of members, behind a dot.
fn renamed(text: &str, new: &BTreeMap<String, String>) -> String {
    let (mut result, mut member) = (String::with_capacity(text.len()), false);
    for piece in pieces(text) {
        match piece {
            Piece::Word(word) if !member => result += new.get(word).map_or(word, String::as_str),
            Piece::Word(word) => result += word,
            Piece::Other(other) => result += other,
        }
        member = matches!(piece, Piece::Other("."));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_files_declare_is_found_and_renamed() {
        let text = "override K: u32; // K here stays\nconst A = 2u;\nvar<workgroup> tile: array<f32, 4>;\n\
                    fn f(x: vec2<u32>) -> u32 { let K = x.K; return K + A + 1u * tile.f; }";
        assert_eq!(declared(text), ["K", "A", "tile", "f"]);
        let new = ["K", "A", "tile", "f"].map(|name| (name.to_owned(), format!("{name}_1"))).into();
        let wanted = "override K_1: u32; // K here stays\nconst A_1 = 2u;\nvar<workgroup> tile_1: array<f32, 4>;\n\
                      fn f_1(x: vec2<u32>) -> u32 { let K_1 = x.K; return K_1 + A_1 + 1u * tile_1.f; }";
        assert_eq!(renamed(text, &new), wanted);
    }
}
