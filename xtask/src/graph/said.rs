//! What a piece of code names.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::UseTree;

/// Something that is named.
pub(super) enum Said {
    Path(Vec<String>),
    /// One word that may stand for an item: a type, a constant, or what is called.
    Word(String),
    /// `use` within a function.
    Use(UseTree),
}

/// All that is named, in macros as well: what they are given is code mostly.
pub(super) fn said(stream: TokenStream, all: &mut Vec<Said>) {
    let tokens = Vec::from_iter(stream);
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Group(group) => said(group.stream(), all),
            TokenTree::Ident(ident) if ident == "use" => {
                if let Some((tree, end)) = local_use(&tokens, at + 1) {
                    all.push(Said::Use(tree));
                    at = end;
                }
            }
            TokenTree::Ident(_) => {
                let (path, end) = path(&tokens, at);
                let is_field = is(&tokens, at, 1, '.') && !is(&tokens, at, 2, '.');
                let goes_on = is(&tokens, at, 1, ':') && is(&tokens, at, 2, ':');
                if path.len() > 1 && !is_field && !goes_on {
                    all.push(Said::Path(path));
                } else if !is_field && !goes_on && may_be_item(&path[0], tokens.get(end)) {
                    all.extend(path.into_iter().map(Said::Word));
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
}

/// Whether the token that is so far before this place is this one.
fn is(tokens: &[TokenTree], at: usize, before: usize, punct: char) -> bool {
    let token = at.checked_sub(before).and_then(|at| tokens.get(at));
    matches!(token, Some(TokenTree::Punct(found)) if found.as_char() == punct)
}

/// The path that begins here, and the place behind it.
fn path(tokens: &[TokenTree], at: usize) -> (Vec<String>, usize) {
    let mut path = vec![tokens[at].to_string()];
    let mut at = at + 1;
    while is(tokens, at, 0, ':') && is(tokens, at + 1, 0, ':') {
        let Some(TokenTree::Ident(ident)) = tokens.get(at + 2) else {
            break;
        };
        path.push(ident.to_string());
        at += 3;
    }
    (path, at)
}

/// The import that stands here, and the place of its semicolon. `use<'a>` is none.
fn local_use(tokens: &[TokenTree], from: usize) -> Option<(UseTree, usize)> {
    let rest = tokens.get(from..)?;
    let len = rest
        .iter()
        .position(|token| matches!(token, TokenTree::Punct(it) if it.as_char() == ';'))?;
    let tree = rest[..len].iter().cloned().collect();
    Some((syn::parse2(tree).ok()?, from + len))
}

/// A word in lower case is a variable mostly, unless it is called.
fn may_be_item(word: &str, next: Option<&TokenTree>) -> bool {
    let is_called = match next {
        Some(TokenTree::Group(group)) => group.delimiter() == Delimiter::Parenthesis,
        Some(TokenTree::Punct(punct)) => punct.as_char() == '!',
        _ => false,
    };
    is_called || word.starts_with(|c: char| c.is_ascii_uppercase())
}
