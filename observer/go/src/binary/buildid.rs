//! The build id, from the notes.

use std::fmt::Write;

use object::{LittleEndian as LE, elf::FileHeader64, read::elf::NoteIterator};

use super::{buildinfo::kept, elf::ElfFile};

const MAX_NOTES_BYTES: u64 = 64 << 10;
/// Bytes of a GNU build id that are shown; it has 20, or as many as one asks for.
const MAX_ID_BYTES: usize = 512;
/// `NT_GNU_BUILD_ID`.
const GNU: u32 = 3;
/// cmd/link's `ELF_NOTE_GOBUILDID_TAG`.
const GO: u32 = 4;

/// GNU build id in hexadecimal, else Go build id. Damaged notes are none.
pub(super) fn read(image: &ElfFile<'_>) -> Option<String> {
    let named = [".note.gnu.build-id", ".note.go.buildid"];
    let sections = named
        .iter()
        .filter_map(|name| Some((image.section(name)?, 4)));
    let mut go = None;
    for (range, align) in image.notes.iter().copied().chain(sections) {
        let what = "the notes";
        let Ok(bytes) = image
            .reader
            .bytes(what, range.offset, range.size, MAX_NOTES_BYTES)
        else {
            continue;
        };
        let Ok(mut notes) = NoteIterator::<FileHeader64<LE>>::new(LE, align, &bytes) else {
            continue;
        };
        while let Ok(Some(note)) = notes.next() {
            match (note.name(), note.n_type(LE).0) {
                (b"GNU", GNU) if !note.desc().is_empty() => {
                    let id = note.desc().iter().take(MAX_ID_BYTES);
                    return Some(id.fold(String::new(), |mut text, byte| {
                        let _ = write!(text, "{byte:02x}");
                        text
                    }));
                }
                (name, GO) if name.starts_with(b"Go") && !note.desc().is_empty() => {
                    let text = note.desc();
                    let end = text
                        .iter()
                        .rposition(|byte| *byte != 0)
                        .map_or(0, |at| at + 1);
                    go = Some(kept(&text[..end]));
                }
                _ => {}
            }
        }
    }
    go
}
