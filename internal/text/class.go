package text

import "unicode"

// kind is what a character does in the scanner.
type kind uint8

const (
	other   kind = iota // punctuation and symbols, emoji too
	space               // white space, line ends included
	letter              // a letter of a script that separates words
	solo                // a letter that is a word: Han, Hiragana, Thai ...
	mark                // a combining mark: belongs to the letter before it
	digit               // a decimal digit
	numeral             // other numbers: ½ ² ① Ⅷ
	hidden              // see Hidden
)

var asciiKinds = func() (kinds [128]kind) {
	for c := range kinds {
		r := rune(c)
		switch {
		case 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z':
			kinds[c] = letter
		case '0' <= r && r <= '9':
			kinds[c] = digit
		case unicode.IsSpace(r):
			kinds[c] = space
		case r < ' ' || r == 0x7f:
			kinds[c] = hidden
		}
	}
	return kinds
}()

// unspaced are scripts that are written without spaces between words.
var unspaced = []*unicode.RangeTable{
	unicode.Han, unicode.Hiragana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar, unicode.Tibetan,
}

func kindOf(r rune) kind {
	switch {
	case r < 0x80:
		return asciiKinds[r]
	case 0x2010 <= r && r <= 0x2027, r == 0xfffd:
		return other // dashes, quotes, bullets: the usual non-ASCII signs of English
	case unicode.IsLetter(r):
		if Hidden(r) { // Hangul fillers are letters that show nothing
			return hidden
		}
		if r >= 0xe00 && unicode.In(r, unspaced...) {
			return solo
		}
		return letter
	case unicode.IsDigit(r):
		return digit
	case unicode.IsSpace(r):
		return space
	case Hidden(r):
		return hidden
	case unicode.IsMark(r):
		return mark
	case unicode.IsNumber(r):
		return numeral
	}
	return other
}

// inWord reports whether a character of this kind can continue a word.
func (k kind) inWord() bool { return k == letter || k == digit || k == mark || k == numeral }

// Hidden reports whether a character shows nothing on a page: controls other
// than white space, zero-width and bidi controls, fillers, variation selectors,
// tag characters and other default-ignorable code points. Joiners and
// variation selectors are among them although scripts and emoji need them:
// whether one is in its place is for the caller to see.
func Hidden(r rune) bool {
	switch {
	case r < 0x20:
		return r < '\t' || r > '\r'
	case r < 0x7f:
		return false
	case r < 0xa0:
		return r != 0x85 // NEL is white space
	case r < 0x34f:
		return r == 0xad // soft hyphen
	case 0x200b <= r && r <= 0x206f:
		return r <= 0x200f || 0x202a <= r && r <= 0x202e || r >= 0x2060
	case 0xfe00 <= r && r <= 0xfe0f, 0xe0000 <= r && r <= 0xe0fff:
		return true
	case 0x1d173 <= r && r <= 0x1d17a, 0x1bca0 <= r && r <= 0x1bca3: // musical and shorthand format controls
		return true
	}
	switch r {
	case 0x34f, 0x61c, // grapheme joiner, Arabic letter mark
		0x115f, 0x1160, 0x3164, 0xffa0, // Hangul fillers
		0x17b4, 0x17b5, // Khmer inherent vowels
		0x180b, 0x180c, 0x180d, 0x180e, 0x180f, // Mongolian selectors
		0x2800,                         // blank Braille pattern
		0xfeff, 0xfff9, 0xfffa, 0xfffb: // byte order mark, annotations
		return true
	}
	return false
}
