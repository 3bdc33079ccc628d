//! Tables: headers, columns, labels, and scales that keep what f32 would lose.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use vae_gpu::data::{DataSource, Header, Reading, Scale};

use super::common::{all, names, read, says, train, unread, values};

fn table(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

/// A reading with another test set.
fn beside(test: PathBuf) -> Reading {
    Reading { test_data: Some(DataSource::Path(test)), ..Reading::default() }
}

#[test]
fn a_first_line_of_ascending_numbers_is_a_header_and_that_is_said() {
    let folder = TempDir::new().unwrap();
    let path = table(&folder, "pandas.csv", "0,1,2\n0.5,0.25,0.75\n0.1,0.2,0.3\n");
    let (images, notes) = all(&Reading::default(), &path);
    assert_eq!(values(&images), [0.5, 0.25, 0.75, 0.1, 0.2, 0.3]);
    says(&notes, &["the first line, 0, 1, 2,", "--header no"]);
    let (images, notes) = all(&Reading { header: Header::No, ..Reading::default() }, &path);
    assert_eq!((images.count(), notes.len()), (3, 0));
    let path = table(&folder, "years.csv", "country,2019,2020,2021\nx,0.5,0.25,0.75\ny,0.1,0.2,0.3\n");
    names(&unread(&Reading::default(), &path), &["line 2, column 0 (country) is \"x\"", "--drop-columns country"]);
    let (images, _) = all(&Reading { drop_columns: vec!["country".to_owned()], ..Reading::default() }, &path);
    assert_eq!(values(&images), [0.5, 0.25, 0.75, 0.1, 0.2, 0.3]);
    let path = table(&folder, "plain.csv", "0.5,0.25\n0.1,0.2\n");
    let (images, _) = all(&Reading { header: Header::Yes, ..Reading::default() }, &path);
    assert_eq!(values(&images), [0.1, 0.2]);
}

#[test]
fn columns_of_a_test_set_are_matched_by_name_or_refused() {
    let folder = TempDir::new().unwrap();
    let train = table(&folder, "train.csv", "a,b,label\n0.1,0.2,ant\n0.3,0.4,bee\n");
    let test = table(&folder, "test.csv", "label,b,c,a\ncow,0.6,9,0.5\nbee,0.8,9,0.7\n");
    let data = read(&beside(test), &train);
    assert_eq!(values(&data.test), [0.5, 0.6, 0.7, 0.8]);
    says(&data.notes, &["columns of test examples are brought into the training data's order"]);
    says(&data.notes, &["1 column that the training data do not have", "\"c\""]);
    // One numbering over both sets.
    assert_eq!((data.schema.classes.join(" "), data.test.labels), ("ant bee cow".to_owned(), vec![Some(2), Some(1)]));
    let other = table(&folder, "other.csv", "a,d\n0.5,0.6\n");
    names(&unread(&beside(other), &train), &["other.csv", "lacks 1 column", "\"b\"", "matched by name"]);
    let twice = table(&folder, "twice.csv", "a,a,b\n0.1,0.2,0.3\n0.4,0.5,0.6\n");
    let moved = table(&folder, "moved.csv", "b,a,a\n0.1,0.2,0.3\n");
    names(&unread(&beside(moved), &twice), &["moved.csv", "two columns are called \"a\""]);
    let nameless = table(&folder, "nameless.csv", "0.9,0.5\n0.8,0.7\n");
    let data = read(&beside(nameless), &train);
    assert_eq!(values(&data.test), [0.9, 0.5, 0.8, 0.7]);
    says(&data.notes, &["no names of columns: they are taken in their order"]);
    assert_eq!(data.test.labels, [None, None]);
}

#[test]
fn values_are_scaled_before_f32_rounds_them() {
    let folder = TempDir::new().unwrap();
    let text: String = (0..40).map(|at| format!("{},{}\n", 1_700_000_000 + at, f64::from(at) / 40.0)).collect();
    let path = table(&folder, "unix.csv", &("t,v\n".to_owned() + &text));
    let reading = |scale| Reading { scale, split: Some(0.5), ..Reading::default() };
    let data = read(&reading(Scale::Minmax), &path);
    let mut seconds: Vec<f32> = values(&data.train).into_iter().step_by(2).collect();
    seconds.sort_by(f32::total_cmp);
    seconds.dedup();
    assert_eq!((seconds.len(), seconds[0], seconds[19]), (20, 0.0, 1.0));
    let data = read(&reading(Scale::Auto), &path);
    says(
        &data.notes,
        &["values of 1 column (t the first)", "f32 hardly tells them apart", "--scale minmax or standard"],
    );
}

#[test]
fn a_constant_column_is_only_moved_and_other_values_are_clipped_or_kept() {
    let folder = TempDir::new().unwrap();
    let text: String = (0..40).map(|at| format!("{},0.1\n", f64::from(at % 7) / 10.0)).collect();
    let train = table(&folder, "const.csv", &("a,b\n".to_owned() + &text));
    let test = table(&folder, "test.csv", "a,b\n0.9,0.2\n-0.3,0.1\n0.3,0.1\n");
    let scaled = |scale| read(&Reading { scale, ..beside(test.clone()) }, &train);
    let data = scaled(Scale::Standard);
    assert!((values(&data.test)[1] - 0.1).abs() < 1e-6, "{:?}", values(&data.test));
    let data = scaled(Scale::Minmax);
    assert_eq!(values(&data.test)[..5], [1.0, 0.1, 0.0, 0.0, 0.5]);
    says(&data.notes, &["2 of 6 values of test examples lie outside the training set's range, and are clipped"]);
}

#[test]
fn labels_that_are_no_classes_are_a_note() {
    let folder = TempDir::new().unwrap();
    let path = table(&folder, "reg.csv", "a,target\n0.1,1.5\n0.2,0.5\n0.3,1\n");
    let data = read(&Reading::default(), &path);
    assert!(data.schema.classes.is_empty() && data.train.features() == 1);
    says(&data.notes, &["no classes: it is left out", "--label-column none"]);
    let data = read(&Reading { label_column: Some("none".to_owned()), ..Reading::default() }, &path);
    assert_eq!(data.train.features(), 2);
}

#[test]
fn missing_values_are_those_of_other_programs() {
    let folder = TempDir::new().unwrap();
    let lines: String = ["NA", "N/A", "?", "null", "na", "-", ""].map(|cell| format!("0.5,{cell}\n")).concat();
    let path = table(&folder, "missing.csv", &format!("a,b\n0.1,0.2\n{lines}0.3,0.4\n"));
    names(&unread(&Reading::default(), &path), &["1 (from 0", "value 1 (b)", "7 of 9", "--drop-bad"]);
    let (images, notes) = all(&Reading { drop_bad: true, ..Reading::default() }, &path);
    assert_eq!(values(&images), [0.1, 0.2, 0.3, 0.4]);
    assert_eq!(images.names, ["row 0", "row 8"]);
    says(&notes, &["7 examples (the first is number 1 from 0) hold values that are not finite, and are left out"]);
}

#[test]
fn an_index_is_left_out_and_said() {
    let folder = TempDir::new().unwrap();
    let path = table(&folder, "pandas.csv", ",a,b\n0,0.1,0.2\n1,0.3,0.4\n2,0.5,0.6\n");
    let (images, notes) = all(&Reading::default(), &path);
    assert_eq!(values(&images), [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]);
    says(&notes, &["column 0 has no name and counts the lines: an index, which is left out"]);
}

#[test]
fn numbers_outside_the_unit_range_are_brought_there_where_the_loss_needs_it() {
    let folder = TempDir::new().unwrap();
    let line = |at: usize| (0..64).map(|pixel| ((at * 7 + pixel * 3) % 17).to_string()).collect::<Vec<_>>().join(",");
    table(&folder, "digits.csv", &(0..60).map(|at| line(at) + "\n").collect::<String>());
    let (printed, _) = train(folder.path(), "digits.csv", &[]);
    names(&printed, &["54 + 6 examples of 8x8: floats, scaled, from 0 to 1", "values from 0 to 16", "16 is white"]);
    let probabilities = Reading { probabilities: Some("--loss bce".to_owned()), ..Reading::default() };
    let data = read(&probabilities, &folder.path().join("digits.csv"));
    let first = data.train.pixels.clone();
    assert!(values(&data.train)[..3].iter().all(|value| (value * 16.0).fract() == 0.0), "{first:?}");
    let path = table(&folder, "people.csv", "height,weight\n100,50\n200,70\n150,60\n");
    let data = read(&Reading { split: Some(0.99), ..probabilities }, &path);
    let all = [values(&data.train), values(&data.test)].concat();
    assert!(all.chunks(2).all(|row| row[0] == row[1] && [0.0, 0.5, 1.0].contains(&row[0])), "{all:?}");
}
