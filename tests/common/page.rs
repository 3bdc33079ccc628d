//! HTML pages that ask no network for anything.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Checks that a page asks no network for anything, and counts its pictures.
pub fn pictures(page: &str) -> usize {
    let mut rest = String::new(); // all but the pictures' data
    let mut count = 0;
    for (index, part) in page.split("data:image/png;base64,").enumerate() {
        let (data, after) = if index == 0 { ("", part) } else { part.split_once('"').unwrap() };
        if index > 0 {
            image::load_from_memory(&STANDARD.decode(data).unwrap()).unwrap();
            count += 1;
        }
        rest += after;
    }
    let (rest, scripts) = without_scripts(&rest);
    assert!(rest.contains("content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'"), "{rest}");
    assert!(!rest.contains("connect-src") && (rest.contains("script-src") || scripts.is_empty()), "{rest}");
    for word in ["//", "url(", "@import", "<script", "<link", "<iframe", "href", "srcset"] {
        assert!(!rest.contains(word), "{word}: {rest}");
    }
    for word in ["fetch(", "XMLHttpRequest", "WebSocket", "import(", "sendBeacon", "http:", "https:"] {
        assert!(!scripts.contains(word), "{word}");
    }
    assert_eq!(rest.matches("src=\"").count(), count, "{rest}");
    count
}

/// A page without what its scripts hold, and that.
fn without_scripts(page: &str) -> (String, String) {
    let (mut rest, mut scripts) = (String::new(), String::new());
    for (index, part) in page.split("<script ").enumerate() {
        match part.split_once("</script>") {
            Some((script, after)) if index > 0 => {
                scripts += script.split_once('>').unwrap().1;
                rest += after;
            }
            _ => rest += part,
        }
    }
    (rest, scripts)
}
