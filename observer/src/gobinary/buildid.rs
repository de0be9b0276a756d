//! The build id, from the notes.

use std::fmt::Write;

use object::{LittleEndian as LE, elf::FileHeader64, read::elf::NoteIterator};

use super::image::Image;

const MAX_NOTES: u64 = 64 << 10;
/// `NT_GNU_BUILD_ID`.
const GNU: u32 = 3;
/// cmd/link's `ELF_NOTE_GOBUILDID_TAG`.
const GO: u32 = 4;

/// GNU build id in hexadecimal, else Go build id. Damaged notes are none.
pub(super) fn read(image: &Image<'_>) -> Option<String> {
    let named = [".note.gnu.build-id", ".note.go.buildid"];
    let sections = named
        .iter()
        .filter_map(|name| Some((image.section(name)?, 4)));
    let mut go = None;
    for (range, align) in image.notes.iter().copied().chain(sections) {
        let what = "the notes";
        let Ok(bytes) = image
            .reader
            .bytes(what, range.offset, range.size, MAX_NOTES)
        else {
            continue;
        };
        let Ok(mut notes) = NoteIterator::<FileHeader64<LE>>::new(LE, align, &bytes) else {
            continue;
        };
        while let Ok(Some(note)) = notes.next() {
            match (note.name(), note.n_type(LE).0) {
                (b"GNU", GNU) if !note.desc().is_empty() => {
                    return Some(note.desc().iter().fold(String::new(), |mut text, byte| {
                        let _ = write!(text, "{byte:02x}");
                        text
                    }));
                }
                (name, GO) if name.starts_with(b"Go") && !note.desc().is_empty() => {
                    let text = String::from_utf8_lossy(note.desc());
                    go = Some(text.trim_end_matches('\0').to_owned());
                }
                _ => {}
            }
        }
    }
    go
}
