package evidence

import (
	"unicode"

	"github.com/gradus-ai/gradus/internal/text"
)

// hidden finds runs of characters that show nothing on a page. Not those where
// writing needs them: joiners within emoji and within words of scripts that
// join, one variation selector after a sign, direction marks beside
// right-to-left letters, soft hyphens in words, line ends.
func (a *Answer) hidden() []Flagged {
	if len(a.source) == a.doc.Len() && plainASCII(a.source) {
		return nil
	}
	var out []Flagged
	before, i := rune(-1), 0
	rtl := hasRightToLeft(a.source)
	flag := false // within the tags of an emoji flag
	for at, r := range a.source {
		if suspicious(r) {
			after := rune(-1)
			for k, next := range a.source[at:] {
				if k > 0 {
					after = next
					break
				}
			}
			flag = isTag(r) && (flag || before == blackFlag)
			if !flag && !inPlace(r, before, after, rtl, i == 0) {
				if n := len(out); n > 0 && out[n-1].End == i {
					out[n-1].End = i + 1
				} else {
					out = append(out, Flagged{Flag: HiddenText, Start: i, End: i + 1})
				}
			}
		}
		before = r
		i++
	}
	return a.enclose(a.rows(out))
}

// suspicious reports whether r is hidden, or private use.
func suspicious(r rune) bool {
	return text.Hidden(r) || 0xe000 <= r && r <= 0xf8ff || 0xf0000 <= r && r <= 0x10fffd
}

// inPlace reports whether a suspicious character does the work it is made for.
func inPlace(r, before, after rune, rtl, first bool) bool {
	switch {
	case r == 0xfeff:
		return first // a byte order mark
	case r == joiner, r == 0x200c:
		return joins(before) && (joins(after) || r == 0x200c && unicode.IsSpace(after))
	case selects(r):
		return !selects(before) && !selects(after) // a stray one is no message; a row of them can be (see rows)
	case 0x180b <= r && r <= 0x180f:
		return unicode.Is(unicode.Mongolian, before)
	case r == 0x200e, r == 0x200f, r == 0x61c, 0x202a <= r && r <= 0x202c, 0x2066 <= r && r <= 0x2069:
		return rtl // direction marks; overrides (202d, 202e) never
	case r == 0xad:
		return unicode.IsLetter(before) && unicode.IsLetter(after)
	case 0xe0100 <= r && r <= 0xe01ef:
		return unicode.Is(unicode.Han, before)
	case r == 0x200b:
		return unspaced(before) && unspaced(after) // a place to break a line in Thai or Khmer
	case r == 0x3164 || r == 0x115f || r == 0x1160 || r == 0xffa0:
		return unicode.Is(unicode.Hangul, before) || unicode.Is(unicode.Hangul, after)
	}
	return false
}

// joins reports whether joiners have a meaning beside r: in emoji, and in
// scripts whose letters join.
func joins(r rune) bool {
	return r >= 0x300 && (unicode.IsLetter(r) || unicode.IsMark(r) && !text.Hidden(r) || unicode.IsSymbol(r)) && r < 0xe0000 || 0xfe00 <= r && r <= 0xfe0f
}

// blackFlag begins the flags of England, Scotland and Wales; tags follow.
const blackFlag = 0x1f3f4

func isTag(r rune) bool { return 0xe0020 <= r && r <= 0xe007f }

// selects reports whether r selects how the character before it looks.
func selects(r rune) bool { return 0xfe00 <= r && r <= 0xfe0f }

func unspaced(r rune) bool {
	return unicode.In(r, unicode.Thai, unicode.Khmer, unicode.Lao, unicode.Myanmar, unicode.Tibetan)
}

func hasRightToLeft(s string) bool {
	for _, r := range s {
		if r >= 0x590 && unicode.IsLetter(r) && (r <= 0x8ff || 0xfb1d <= r && r <= 0xfefc || 0x10800 <= r && r <= 0x1efff) {
			return true
		}
	}
	return false
}

func plainASCII(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 && (c < '\t' || c > '\r') || c == 0x7f {
			return false
		}
	}
	return true
}

// overrides are the controls that show text in another order than it stands.
const (
	leftOverride  = 0x202d
	rightOverride = 0x202e
	popDirection  = 0x202c
)

// shortestRow is the number of variation selectors in a row from which they can
// carry a message; two are a slip of an editor.
const shortestRow = 3

// rows drops passages of too few variation selectors.
func (a *Answer) rows(spans []Flagged) []Flagged {
	kept := spans[:0]
	for _, s := range spans {
		if s.End-s.Start >= shortestRow || !selects(a.runeAt(s.Start)) {
			kept = append(kept, s)
		}
	}
	return kept
}

// enclose widens the passage of a direction override to the text it turns
// round, up to where it ends.
func (a *Answer) enclose(spans []Flagged) []Flagged {
	reached := 0
	for i := range spans {
		last := a.runeAt(spans[i].End - 1)
		if last != leftOverride && last != rightOverride || spans[i].End <= reached {
			continue
		}
		for end := spans[i].End; end < a.doc.Len(); end++ {
			r := a.runeAt(end)
			if r == '\n' {
				break
			}
			spans[i].End = end + 1
			if r == popDirection {
				break
			}
		}
		reached = spans[i].End
	}
	return spans
}
