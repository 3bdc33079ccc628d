//! `.csv` and `.tsv`: any text is a table or an error. The first byte chooses between them, the column of labels, whether
//! there is a header, and columns to leave out.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vae_gpu::data::{Header, Reading};
use vae_gpu_fuzz::{read_data, write};

fuzz_target!(|input: &[u8]| {
    let (choice, text) = input.split_first().unwrap_or((&0, &[]));
    let label_column = [None, Some("0"), Some("class"), Some("")][usize::from(choice / 2) % 4].map(str::to_owned);
    let header = [Header::Auto, Header::Yes, Header::No][usize::from(choice / 8) % 3];
    let drop_columns = if *choice >= 192 { vec!["0".to_owned(), "y".to_owned()] } else { Vec::new() };
    let path = write(["a.csv", "a.tsv"][usize::from(choice % 2)], text);
    read_data(&path, Reading { label_column, header, drop_columns, ..Reading::default() });
});
