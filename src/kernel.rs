//! A kernel before it is linked: its WGSL files, its numbers, and how much work there is.

use std::borrow::Cow;

/// A `.wgsl` file of `shaders/`.
///
/// Files in `shaders/common/` name nothing of other folders, so a dispatch has each once, however many kernels share it. All
/// other files belong to one kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fragment {
    /// The file's name, for messages.
    pub name: &'static str,
    /// The file's text.
    pub source: &'static str,
}

impl Fragment {
    /// Whether a dispatch has it once, for all its kernels.
    pub fn is_common(&self) -> bool {
        self.name.starts_with("common/")
    }
}

/// The [`Fragment`] in `shaders/$name`.
macro_rules! fragment {
    ($name:literal) => {
        $crate::kernel::Fragment {
            name: $name,
            source: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $name)),
        }
    };
}
pub(crate) use fragment;

/// The entry point of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// `run(group, lane)` of the kernel's own files, for each invocation of each workgroup.
    Run,
    /// The same, where a workgroup is a subgroup and `lane` the invocation's number in it.
    RunSubgroup,
    /// A function `main` of the kernel's own files, which then shares a dispatch with no other kernel.
    Main,
}

/// How much a kernel has to do, from which the number of its workgroups follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grid {
    /// So many elements, an invocation each: workgroups may have any size.
    Elements(usize),
    /// So many rows, a workgroup each, of any size that is a power of two and at least [`MIN_WORKGROUP`].
    Rows(usize),
    /// So many workgroups, of one size alone.
    Workgroups(usize),
}

/// A kernel to link and dispatch.
///
/// The linked text is the fragments joined; WGSL allows declarations in any order. Binding 0 is the step; storage bindings
/// are those of the op's inputs, then its outputs, from 1 on. A kernel with [`Scratch`], and the one behind it, declare only those that they use.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    /// The files, the op's own first.
    pub fragments: Vec<Fragment>,
    /// Values of the files' `override` constants; `WORKGROUP` is set from [`Kernel::workgroup`].
    pub constants: Vec<(&'static str, f64)>,
    /// `override` constants that are numbers of the step's scalars, and the scalars' names.
    pub scalars: Vec<(&'static str, &'static str)>,
    /// Numbers of the bindings that a file has by a name: `@binding(DATA)`.
    pub bindings: Vec<(&'static str, usize)>,
    /// A table that it reads at `@binding(TABLE)`, behind the bindings of inputs and outputs.
    pub table: Option<Table>,
    /// Memory at `@binding(SCRATCH)`, behind all others, and what runs behind this kernel on it.
    pub scratch: Option<Scratch>,
    /// Where it begins.
    pub entry: Entry,
    /// Invocations a workgroup.
    pub workgroup: usize,
    /// What there is to do.
    pub grid: Grid,
}

/// Words that depend on a submission's steps alone. They are computed once a submission; kernels that ask for the same table share
/// one.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// What computes it, at binding 1. It reads `common/steps.wgsl` at binding 0 instead of one step.
    pub kernel: Box<Kernel>,
    /// Its size in words.
    pub words: usize,
}

/// What one kernel leaves for another that finishes its work.
#[derive(Clone, Debug, PartialEq)]
pub struct Scratch {
    /// Its size in words.
    pub words: usize,
    /// What reads it, with the op's bindings.
    pub then: Box<Kernel>,
}

/// Invocations a workgroup of kernels that compute one element an invocation.
pub const ELEMENTWISE: usize = 128;

/// Invocations a workgroup of kernels that sum one row a workgroup; also the width of their fixed tree.
pub const REDUCTION: usize = 64;

/// The least invocations that a workgroup has.
pub const MIN_WORKGROUP: usize = 8;

/// Files that read or write a value of f32, and those that do the same where it is stored in half precision.
const HALVES: [[Fragment; 2]; 11] = [
    [fragment!("gemm/load_a.wgsl"), fragment!("gemm/load_a_half.wgsl")],
    [fragment!("gemm/load_a_vec4.wgsl"), fragment!("gemm/load_a_vec4_half.wgsl")],
    [fragment!("gemm/load_b.wgsl"), fragment!("gemm/load_b_half.wgsl")],
    [fragment!("gemm/load_b_vec4.wgsl"), fragment!("gemm/load_b_vec4_half.wgsl")],
    [fragment!("conv/load_patch.wgsl"), fragment!("conv/load_patch_half.wgsl")],
    [fragment!("conv/load_patch_vec4.wgsl"), fragment!("conv/load_patch_vec4_half.wgsl")],
    [fragment!("gemm/epilogue_input.wgsl"), fragment!("gemm/epilogue_input_half.wgsl")],
    [fragment!("gemm/epilogue_input_vec4.wgsl"), fragment!("gemm/epilogue_input_vec4_half.wgsl")],
    [fragment!("gemm/store_c_vec4.wgsl"), fragment!("gemm/store_c_vec4_half.wgsl")],
    [fragment!("elementwise/load_x.wgsl"), fragment!("elementwise/load_x_half.wgsl")],
    [fragment!("elementwise/store_y.wgsl"), fragment!("elementwise/store_y_half.wgsl")],
];
/// Values that an invocation of the last of these stores.
const HALVES_STORED: usize = 4;

impl Kernel {
    /// A kernel of these files, whose `run` (or `main`) sees workgroups of this size.
    pub fn new(fragments: Vec<Fragment>, entry: Entry, workgroup: usize, grid: Grid) -> Kernel {
        Kernel {
            fragments,
            constants: Vec::new(),
            scalars: Vec::new(),
            bindings: Vec::new(),
            table: None,
            scratch: None,
            entry,
            workgroup,
            grid,
        }
    }

    /// A kernel whose `element(i)` is called for each `i < count`, each in an invocation of its own.
    pub fn elementwise(element: Fragment, count: usize) -> Kernel {
        let fragments = vec![element, fragment!("elementwise/run.wgsl")];
        Kernel::new(fragments, Entry::Run, ELEMENTWISE, Grid::Elements(count)).constant("COUNT", count)
    }

    /// Links what defines `load_x(at)`, an element of the first input.
    pub fn loading_x(self) -> Kernel {
        self.link(fragment!("elementwise/load_x.wgsl"))
    }

    /// A kernel whose `value(i)`, for each `i < count`, goes to the output behind so many inputs.
    pub fn of_values(value: Fragment, count: usize, inputs: usize) -> Kernel {
        Kernel::elementwise(value, count).link(fragment!("elementwise/store_y.wgsl")).binding("Y", inputs + 1)
    }

    /// A kernel that gives `store(row, total)` the sum of `summand(row, i)` over `i < length(row)`, for each `row < rows`.
    /// The files of one of the methods below, or the caller's own, define `length` and `store`.
    pub fn reduction(summand: Fragment, rows: usize) -> Kernel {
        let fragments = vec![summand, fragment!("reduce/run.wgsl"), fragment!("common/tree.wgsl")];
        Kernel::new(fragments, Entry::Run, REDUCTION, Grid::Rows(rows)).constant("ROWS", rows)
    }

    /// The sums of a reduction have this length.
    pub fn of_length(self, length: usize) -> Kernel {
        self.link(fragment!("reduce/length.wgsl")).constant("LENGTH", length)
    }

    /// The sums of a reduction go to `result[row]`, where that is the output behind so many inputs.
    pub fn storing(self, inputs: usize) -> Kernel {
        self.link(fragment!("reduce/store.wgsl")).binding("RESULT", inputs + 1)
    }

    /// The sums of a reduction run over the rows that count of a batch, with `width` summands each, and are divided by the
    /// number of these rows; as [`Kernel::storing`].
    pub fn batch_means(self, batch: usize, width: usize, inputs: usize) -> Kernel {
        self.link(fragment!("reduce/length_batch.wgsl"))
            .link(fragment!("reduce/store_batch_mean.wgsl"))
            .link(fragment!("common/step.wgsl"))
            .constant("BATCH", batch)
            .constant("WIDTH", width)
            .binding("RESULT", inputs + 1)
    }

    /// Also links with `fragment`, once.
    pub fn link(mut self, fragment: Fragment) -> Kernel {
        if !self.fragments.contains(&fragment) {
            self.fragments.push(fragment);
        }
        self
    }

    /// Links with `other` in place of the file `name`, where it links with that.
    pub(crate) fn replace(&mut self, name: &str, other: &Fragment) {
        self.fragments.iter_mut().filter(|fragment| fragment.name == name).for_each(|fragment| *fragment = *other);
    }

    /// Reads or writes the value at this binding in half precision; false where it has no file that does.
    pub(crate) fn in_half(&mut self, binding: usize) -> bool {
        let mut found = self.scratch.as_mut().is_some_and(|scratch| scratch.then.in_half(binding));
        let bound = format!("@binding({binding})");
        for at in 0..self.fragments.len() {
            let of_value =
                |[single, _]: &&[Fragment; 2]| *single == self.fragments[at] && self.text(single).contains(&bound);
            let Some([single, half]) = HALVES.iter().find(of_value) else { continue };
            self.fragments[at] = *half;
            if single.name == "elementwise/store_y.wgsl" {
                self.divide_elements(HALVES_STORED);
            }
            found = true;
        }
        let halves = fragment!("common/halves.wgsl");
        if found && !self.fragments.contains(&halves) {
            self.fragments.push(halves);
        }
        found
    }

    /// Lets an invocation of an elementwise kernel do the work of so many.
    fn divide_elements(&mut self, by: usize) {
        let Grid::Elements(count) = &mut self.grid else { unreachable!("it is elementwise") };
        *count /= by;
        let count = *count as f64;
        self.constants.iter_mut().filter(|(name, _)| *name == "COUNT").for_each(|(_, value)| *value = count);
    }

    /// Sets the `override` constant `name`.
    pub fn constant(mut self, name: &'static str, value: usize) -> Kernel {
        self.constants.push((name, value as f64));
        self
    }

    /// Reads the step's scalar `name`, whose number is the `override` constant `constant`.
    pub fn scalar(mut self, constant: &'static str, name: &'static str) -> Kernel {
        self.scalars.push((constant, name));
        self
    }

    /// Puts what files bind at `@binding(name)` to binding `number`.
    pub fn binding(mut self, name: &'static str, number: usize) -> Kernel {
        self.bindings.push((name, number));
        self
    }

    /// Reads this table.
    pub fn table(mut self, table: Table) -> Kernel {
        self.table = Some(table);
        self
    }

    /// Leaves its results in scratch memory, and what runs behind it.
    pub fn scratch(mut self, scratch: Scratch) -> Kernel {
        self.scratch = Some(scratch);
        self
    }

    /// Workgroups of a dispatch.
    pub fn workgroups(&self) -> usize {
        match self.grid {
            Grid::Elements(count) => count.div_ceil(self.workgroup),
            Grid::Rows(count) | Grid::Workgroups(count) => count,
        }
    }

    /// A file's text, its named bindings filled in.
    pub fn text(&self, fragment: &Fragment) -> Cow<'static, str> {
        let mut text = Cow::Borrowed(fragment.source);
        for (name, number) in &self.bindings {
            let named = format!("@binding({name})");
            if text.contains(&named) {
                text = text.replace(&named, &format!("@binding({number})")).into();
            }
        }
        text
    }
}
