package importer

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/gradus-ai/gradus/internal/rubric"
	"github.com/gradus-ai/gradus/internal/text"
)

// slug is a text as an id: lower-case letters, digits and hyphens; empty where
// it has none.
func slug(s string) string {
	var b strings.Builder
	for _, r := range text.Fold(s).Text {
		switch {
		case 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
			b.WriteRune(r)
		case r == '\'' || r == '’':
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() == rubric.MaxID {
			break
		}
	}
	return strings.Trim(b.String(), "-")
}

// idWords is how many words an id is made of at most.
const idWords = 3

// filler are words that tell no two questions apart.
var filler = wordList(`a i my your tell describe explain walk give share talk discuss design how what why when where which who you your
	would could should have has had did does do are is was were will can about us me our we they their an and the of to in for
	with from it this that there here be been being them think know say use make made get take handle ensure approach experience
	example time situation case one real own way ways new good best own most ever also help through across without while keep
	still gives name names speak step steps show evidence if need needed want answer more many much other others some any all
	day first at on by as into or not real things something someone people define priorities actually yet need asked
	perspective either help specific would like led partnered had wear had early-stage hat stay without while contribute raising until them`)

// little are words of a claim that tell nothing about it.
var little = wordList(`how what why when where which who that i my me we they their them your you the a an of to in for with from and or
	would will can could have has had is are was were be been do does did first it its this these those as not on about am by at into our us if`)

// idOf is an id of the telling words of a text, those that are not filler, or
// otherwise where it has none.
func idOf(s string, filler map[string]bool, otherwise string) string {
	var words []string
	for _, w := range strings.FieldsFunc(parens.ReplaceAllString(contraction.ReplaceAllString(s, ""), ""), func(r rune) bool { return r == ' ' || r == '/' || r == '—' || r == '–' }) {
		w = slug(w)
		if w != "" && !filler[w] && len(words) < idWords {
			words = append(words, w)
		}
	}
	if id := strings.Join(words, "-"); id != "" {
		return id
	}
	return otherwise
}

var contraction = regexp.MustCompile(`(?i)['’](?:d|s|re|ve|ll|m|t)\b`)

// unused is id, or id with a number where it is taken; it is taken from then on.
func unused(id string, taken map[string]bool) string {
	if len(id) > rubric.MaxID-4 {
		id = strings.Trim(id[:rubric.MaxID-4], "-")
	}
	free := id
	for n := 2; taken[free]; n++ {
		free = id + "-" + strconv.Itoa(n)
	}
	taken[free] = true
	return free
}
