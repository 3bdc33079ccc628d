//! A page of tables and pictures as one HTML file that asks no network for anything: pictures are data URIs, the style is
//! inline, and its policy forbids the rest; of scripts it allows those of a widget, where it has one. Every text is escaped by the
//! template (`maud`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::web::Widget;
use crate::error::Result;
use crate::plot::Picture;

const STYLE: &str = include_str!("page.css");
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";
/// Behind [`POLICY`].
const SCRIPTED: &str = "; script-src 'unsafe-inline'";

/// A page.
#[derive(Debug)]
pub struct Page {
    /// Its title.
    pub title: String,
    /// Below the title.
    pub lines: Vec<String>,
    /// Below the lines.
    pub sections: Vec<Section>,
    /// A part that runs, above the sections.
    pub widget: Option<Widget>,
}

/// A part of a page under a heading.
#[derive(Debug)]
pub struct Section {
    /// Its heading.
    pub title: &'static str,
    /// What is seen, in a sentence; may be empty.
    pub note: String,
    /// Rows of each table.
    pub tables: Vec<Vec<Row>>,
    /// Pictures, and what each shows: said above it where there are several.
    pub pictures: Vec<(String, Picture)>,
}

/// A row of a table.
#[derive(Debug)]
pub struct Row {
    /// Its head.
    pub name: String,
    /// Its other cells.
    pub values: Vec<String>,
    /// Whether it stands out.
    pub marked: bool,
}

impl Row {
    /// A row of one value.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Row {
        Row { name: name.into(), values: vec![value.into()], marked: false }
    }
}

impl Section {
    /// A table under a heading.
    pub fn table(title: &'static str, note: impl Into<String>, rows: Vec<Row>) -> Section {
        Section { title, note: note.into(), tables: vec![rows], pictures: Vec::new() }
    }

    /// Pictures under a heading.
    pub fn pictures(title: &'static str, note: impl Into<String>, pictures: Vec<(String, Picture)>) -> Section {
        Section { title, note: note.into(), tables: Vec::new(), pictures }
    }
}

impl Page {
    /// The file.
    ///
    /// # Errors
    /// [`crate::Error::Io`] where a picture can't be encoded.
    pub fn html(&self) -> Result<String> {
        let sections = self.sections.iter().map(section).collect::<Result<Vec<_>>>()?;
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content={ (POLICY) (if self.widget.is_some() { SCRIPTED } else { "" }) };
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) }
                    @if let Some(widget) = &self.widget { style { (PreEscaped(widget.style)) } }
                }
                body {
                    h1 { (self.title) }
                    @for line in &self.lines { p { (line) } }
                    @if let Some(widget) = &self.widget { (widget.body) }
                    @for section in &sections { (section) }
                }
            }
        };
        Ok(page.into_string())
    }
}

fn section(section: &Section) -> Result<Markup> {
    let pictures = section.pictures.iter().map(|(shown, picture)| {
        let source = format!("data:image/png;base64,{}", STANDARD.encode(picture.png()?));
        Ok(html! {
            @if section.pictures.len() > 1 { p { (shown) } }
            img src=(source) alt=(shown) width=(picture.width()) height=(picture.height());
        })
    });
    let pictures = pictures.collect::<Result<Vec<_>>>()?;
    Ok(html! {
        section {
            h2 { (section.title) }
            @if !section.note.is_empty() { p { (section.note) } }
            @for rows in &section.tables {
                table {
                    @for row in rows {
                        tr.marked[row.marked] {
                            th scope="row" { (row.name) }
                            @for value in &row.values { td { (value) } }
                        }
                    }
                }
            }
            @for picture in &pictures { (picture) }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::grid;

    #[test]
    fn whatever_the_texts_hold_they_stay_texts() {
        let hostile = "</title><script>alert(\"1\")</script>&\"'";
        let row = Row { name: hostile.to_owned(), values: vec![hostile.to_owned()], marked: true };
        let picture = grid(&[0.5; 4], crate::data::ImageSize::grey(2, 2), 1).unwrap();
        let sections = vec![
            Section::table("t", hostile, vec![row]),
            Section::pictures("p", hostile, vec![(hostile.to_owned(), picture)]),
        ];
        let html =
            Page { title: hostile.to_owned(), lines: vec![hostile.to_owned()], sections, widget: None }.html().unwrap();
        assert!(!html.contains("<script") && html.matches("</title>").count() == 1, "{html}");
        assert_eq!(html.matches("&lt;script&gt;alert(&quot;1&quot;)").count(), 8, "{html}");
    }
}
