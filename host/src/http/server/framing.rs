//! Where each request on a connection begins and ends, followed as its bytes come in.
//!
//! hyper reads requests and is right about them. What it does not tell is what a head said that it resolves by itself: of
//! `Transfer-Encoding` and `Content-Length` in one head it drops the latter. It does not tell either that half a head has come,
//! or which limit a head was beyond.

/// Bytes of a line that are kept when it comes in pieces; what matters of one is shorter.
const KEPT: usize = 256;

/// Follows the requests of one connection.
pub(super) struct Framing {
    state: State,
    /// The beginning of a line that is not complete yet.
    line: Vec<u8>,
    head: Head,
    /// Heads that are complete.
    heads: u64,
    most_headers: usize,
    too_many_headers: bool,
}

/// What the bytes that come next are.
enum State {
    /// Of a head.
    Head,
    /// So many of a body.
    Body(u64),
    /// Of a body in chunks.
    Chunked(Chunk),
    /// Nobody knows: hyper ends the connection for what came.
    Lost,
}

enum Chunk {
    Size(u64),
    /// What follows the size in its line.
    Extension(u64),
    Data(u64),
    DataEnd,
    Trailers,
}

/// What a head has said so far.
#[derive(Default)]
struct Head {
    /// Lines, the request line included; blank ones before it do not count.
    lines: usize,
    has_length: bool,
    /// `None` if it is no number.
    length: Option<u64>,
    encoded: bool,
}

impl Framing {
    /// For a connection whose requests may have so many headers.
    pub(super) fn new(most_headers: usize) -> Self {
        let (head, line) = (Head::default(), Vec::new());
        Self { state: State::Head, line, head, heads: 0, most_headers, too_many_headers: false }
    }

    /// Heads that are complete.
    pub(super) fn heads(&self) -> u64 {
        self.heads
    }

    /// Whether the beginning of a head has come, and its end has not.
    pub(super) fn is_within_head(&self) -> bool {
        matches!(self.state, State::Head) && (self.head.lines > 0 || self.line.iter().any(|b| !b"\r\n".contains(b)))
    }

    /// The number of the request, from 1, whose body is not whole yet.
    pub(super) fn incomplete_body(&self) -> Option<u64> {
        matches!(self.state, State::Body(_) | State::Chunked(_)).then_some(self.heads)
    }

    /// Whether all that has come are so many requests, each of them whole.
    pub(super) fn is_after(&self, requests: u64) -> bool {
        self.heads == requests && matches!(self.state, State::Head) && !self.is_within_head()
    }

    /// Whether a head had more headers than it may have.
    pub(super) fn had_too_many_headers(&self) -> bool {
        self.too_many_headers
    }

    /// Follows the bytes that come next. Answers the number, from 1, of the first head among them that gives the length of its body in
    /// two ways.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) -> Option<u64> {
        let mut ambiguous = None;
        while !bytes.is_empty() {
            bytes = match &mut self.state {
                State::Lost => return ambiguous,
                State::Head => self.follow_head(bytes, &mut ambiguous),
                State::Body(left) => {
                    let rest = skip(bytes, left);
                    if *left == 0 {
                        self.state = State::Head;
                    }
                    rest
                }
                State::Chunked(_) => self.follow_chunks(bytes),
            };
        }
        ambiguous
    }

    fn follow_head<'a>(&mut self, bytes: &'a [u8], ambiguous: &mut Option<u64>) -> &'a [u8] {
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            self.keep(bytes);
            return &[];
        };
        let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
        let is_blank = if self.line.is_empty() {
            self.head.add(line)
        } else {
            self.keep(line);
            let line = std::mem::take(&mut self.line);
            let is_blank = self.head.add(&line);
            self.line = line;
            self.line.clear();
            is_blank
        };
        self.too_many_headers |= self.head.lines > self.most_headers.saturating_add(1);
        if is_blank && self.head.lines > 0 {
            self.heads += 1;
            let head = std::mem::take(&mut self.head);
            if head.encoded && head.has_length {
                ambiguous.get_or_insert(self.heads);
            }
            self.state = head.body();
        }
        rest
    }

    fn follow_chunks<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let State::Chunked(chunk) = &mut self.state else { return bytes };
        let after_line = memchr::memchr(b'\n', bytes).map(|end| &bytes[end + 1..]);
        match chunk {
            Chunk::Size(size) => {
                match char::from(bytes[0]).to_digit(16) {
                    Some(digit) if *size <= u64::MAX >> 4 => *size = *size << 4 | u64::from(digit),
                    Some(_) => self.state = State::Lost,
                    None => {
                        *chunk = Chunk::Extension(*size);
                        return bytes;
                    }
                }
                &bytes[1..]
            }
            Chunk::Extension(size) => {
                if after_line.is_some() {
                    *chunk = if *size == 0 { Chunk::Trailers } else { Chunk::Data(*size) };
                }
                after_line.unwrap_or_default()
            }
            Chunk::Data(left) => {
                let rest = skip(bytes, left);
                if *left == 0 {
                    *chunk = Chunk::DataEnd;
                }
                rest
            }
            Chunk::DataEnd => {
                if after_line.is_some() {
                    *chunk = Chunk::Size(0);
                }
                after_line.unwrap_or_default()
            }
            Chunk::Trailers => {
                self.keep(&bytes[..bytes.len() - after_line.map_or(0, <[u8]>::len)]);
                if let Some(rest) = after_line {
                    if is_blank(&self.line) {
                        self.state = State::Head;
                    }
                    self.line.clear();
                    rest
                } else {
                    &[]
                }
            }
        }
    }

    fn keep(&mut self, piece: &[u8]) {
        let room = KEPT.saturating_sub(self.line.len());
        self.line.extend_from_slice(&piece[..piece.len().min(room)]);
    }
}

impl Head {
    /// Takes a line in; answers whether it is blank.
    fn add(&mut self, line: &[u8]) -> bool {
        if is_blank(line) {
            return true;
        }
        self.lines += 1;
        // Most lines are told by their first byte.
        let may_matter = self.lines > 1 && line.first().is_some_and(|first| b"cCtT".contains(first));
        let Some(colon) = may_matter.then(|| memchr::memchr(b':', line)).flatten() else { return false };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            self.has_length = true;
            self.length = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
        }
        self.encoded |= name.eq_ignore_ascii_case(b"transfer-encoding");
        false
    }

    /// What follows it. An encoding that is not understood ends the connection, so the only one there is comes in chunks.
    fn body(&self) -> State {
        match (self.encoded, self.has_length, self.length) {
            (true, ..) => State::Chunked(Chunk::Size(0)),
            (false, false, _) | (false, true, Some(0)) => State::Head,
            (false, true, Some(length)) => State::Body(length),
            (false, true, None) => State::Lost,
        }
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| b"\r\n".contains(byte))
}

/// What is left of `bytes` when as many of them as there are to skip have been.
fn skip<'a>(bytes: &'a [u8], left: &mut u64) -> &'a [u8] {
    let skipped = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    *left -= skipped as u64;
    &bytes[skipped..]
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "GET /a?b HTTP/1.1\r\nHost: x\r\nCookie: content-length: 3\r\n\r\n";
    const SIZED: &str = "POST /a HTTP/1.1\r\nContent-Length: 35\r\nHost: x\r\n\r\nTransfer-Encoding: chunked\r\n\r\nGET /";
    const CHUNKED: &str = "POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n\
                           A;x=content-length\r\n\r\n\r\n012345\r\n1\r\nx\r\n0\r\nContent-Length: 3\r\n\r\n";
    const BOTH: &str = "POST /a HTTP/1.1\nTRANSFER-ENCODING:chunked\ncontent-LENGTH:3\n\n0\r\n\r\n";

    /// Heads that were found, and the first that was ambiguous, of bytes that come in pieces of a size.
    fn followed(bytes: &str, piece: usize) -> (u64, Option<u64>) {
        let mut framing = Framing::new(64);
        let ambiguous: Vec<u64> = bytes.as_bytes().chunks(piece).filter_map(|piece| framing.follow(piece)).collect();
        assert!(!framing.is_within_head(), "{bytes:?} is whole");
        (framing.heads(), ambiguous.first().copied())
    }

    #[test]
    fn each_head_speaks_for_itself_however_its_bytes_come() {
        for piece in [1, 2, 7, 64, 4096] {
            for one in [PLAIN, SIZED, CHUNKED] {
                assert_eq!(followed(one, piece), (1, None), "{one:?} in pieces of {piece}");
            }
            let all = [SIZED, CHUNKED, "\r\n", PLAIN, CHUNKED, SIZED].concat();
            assert_eq!(followed(&all, piece), (5, None), "in pieces of {piece}");
            let all = [PLAIN, SIZED, BOTH, CHUNKED].concat();
            assert_eq!(followed(&all, piece), (4, Some(3)), "in pieces of {piece}");
        }
    }

    #[test]
    fn half_a_head_is_told_from_none() {
        let mut framing = Framing::new(64);
        for (bytes, within) in [
            ("\r\n", false),
            ("G", true),
            ("ET / HTTP/1.1\r\nHost: x\r\n", true),
            ("\r\n", false),
            ("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab", false),
            ("cd", false),
            ("GET", true),
        ] {
            framing.follow(bytes.as_bytes());
            assert_eq!(framing.is_within_head(), within, "after {bytes:?}");
        }
    }

    #[test]
    fn headers_are_counted_also_in_half_a_head() {
        let head = |headers: usize| format!("GET / HTTP/1.1\r\n{}", "X: 1\r\n".repeat(headers));
        for (headers, too_many) in [(3, false), (4, true)] {
            let mut framing = Framing::new(3);
            framing.follow(head(headers).as_bytes());
            assert_eq!(framing.had_too_many_headers(), too_many);
        }
    }

    #[test]
    fn what_cannot_be_followed_is_not_guessed_at() {
        for lost in ["Content-Length: x\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"] {
            assert_eq!(followed(&format!("POST / HTTP/1.1\r\n{lost}{BOTH}"), 4096), (1, None));
        }
    }
}
