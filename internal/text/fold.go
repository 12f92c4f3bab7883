package text

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Folded is a text in which spellings that read alike are alike: NFKC, lower
// case, runs of white space as one space (none at the ends), straight quotes,
// plain hyphens, and no hidden characters.
type Folded struct {
	// Text is the folded text, valid UTF-8.
	Text string
	// from maps every byte of Text to the code points of the source it came
	// from.
	from []span
}

type span struct{ start, end int32 }

// Span maps the bytes [from, to) of Text, from < to, to the code points
// [start, end) of the source they came from.
func (f *Folded) Span(from, to int) (start, end int) {
	return int(f.from[from].start), int(f.from[to-1].end)
}

// Fold folds s.
func Fold(s string) Folded {
	f := folder{text: make([]byte, 0, len(s)+8), from: make([]span, 0, len(s)+8)}
	cp := int32(0) // code points of s before byte i
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf && (i+1 == len(s) || s[i+1] < utf8.RuneSelf) {
			f.ascii(c, cp)
			i++
			cp++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			f.put(utf8.RuneError, span{cp, cp + 1})
			i++
			cp++
			continue
		}
		n := size
		if next := norm.NFKC.NextBoundaryInString(s[i:], true); next > n {
			n = next
		}
		segment := s[i : i+n]
		end := cp + int32(utf8.RuneCountInString(segment))
		for _, r := range lower(segment) {
			f.fold(r, span{cp, end})
		}
		i += n
		cp = end
	}
	if n := len(f.text); n > 0 && f.text[n-1] == ' ' {
		f.text, f.from = f.text[:n-1], f.from[:n-1]
	}
	return Folded{Text: string(f.text), from: f.from}
}

// lower is a segment after NFKC in lower case. A small letter may compose with
// a mark that its capital does not compose with, hence the second pass.
func lower(segment string) string {
	s := norm.NFKC.String(segment)
	if low := strings.ToLower(s); low != s {
		return norm.NFKC.String(low)
	}
	return s
}

type folder struct {
	text []byte
	from []span
}

// ascii adds an ASCII character.
func (f *folder) ascii(c byte, at int32) {
	switch asciiKinds[c] {
	case space:
		f.space(span{at, at + 1})
		return
	case hidden:
		return
	}
	switch {
	case 'A' <= c && c <= 'Z':
		c += 'a' - 'A'
	case c == '`':
		c = '\''
	}
	f.text = append(f.text, c)
	f.from = append(f.from, span{at, at + 1})
}

// space adds white space, or widens the space before it.
func (f *folder) space(from span) {
	switch n := len(f.text); {
	case n == 0:
	case f.text[n-1] == ' ':
		f.from[n-1].end = from.end
	default:
		f.text = append(f.text, ' ')
		f.from = append(f.from, from)
	}
}

// fold adds a character after NFKC.
func (f *folder) fold(r rune, from span) {
	switch {
	case unicode.IsSpace(r):
		f.space(from)
	case Hidden(r):
	default:
		f.put(plain(r), from)
	}
}

func (f *folder) put(r rune, from span) {
	f.text = utf8.AppendRune(f.text, r)
	for len(f.from) < len(f.text) {
		f.from = append(f.from, from)
	}
}

// plain is the sign of a keyboard that people use for r.
func plain(r rune) rune {
	switch r {
	case '‘', '’', '‚', '‛', '′', '‵', 'ʼ', 'ʻ', 'ʹ', '´', '`', '‹', '›', '＇':
		return '\''
	case '“', '”', '„', '‟', '″', '‶', '«', '»', '「', '」', '『', '』', '〝', '〞', '＂':
		return '"'
	case '‐', '‑', '‒', '–', '—', '―', '−', '⁃', '﹘', '﹣', '－':
		return '-'
	case 'ς': // the same letter at the end of a word
		return 'σ'
	case '⁄', '∕':
		return '/'
	}
	return r
}
