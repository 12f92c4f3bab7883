package rubric

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/blevesearch/snowballstem"
	"github.com/blevesearch/snowballstem/english"
)

// words is a text in lower case, cut at everything but letters, digits and the
// apostrophes between them.
func words(text string) []string {
	fields := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '\'' && r != '’'
	})
	return slices.DeleteFunc(fields, func(w string) bool { return strings.Trim(w, "'’") == "" })
}

// runs is the set of n-word runs of a text.
func runs(of []string, n int) map[string]bool {
	set := make(map[string]bool)
	for at := 0; at+n <= len(of); at++ {
		set[strings.Join(of[at:at+n], " ")] = true
	}
	return set
}

// stems is the set of English stems of the content words of a text.
func stems(text string) map[string]bool {
	set := make(map[string]bool)
	for _, w := range words(text) {
		if functionWords[w] {
			continue
		}
		env := snowballstem.NewEnv(w)
		english.Stem(env)
		set[env.Current()] = true
	}
	return set
}

// functionWords carry no content of a claim. The verbs with which statements
// of criteria open are among them.
var functionWords = wordSet(`a an and any are as at be been before being both but by can do does each either
	every for from had has have how if in into is it its like may more most must not of off on one or other
	over own per rather same says say so some such than that the their them then there these they this those
	through to under until up was were what when where whether which while who whom whose why will with without
	names name gives give states state describes describe explains explain tells tell mentions mention shows
	show uses use makes make keeps keep sets set`)

func wordSet(list string) map[string]bool {
	set := make(map[string]bool)
	for _, w := range strings.Fields(list) {
		set[w] = true
	}
	return set
}

var (
	// An enumeration that asks for all of its parts, each of a few words:
	// "a, b and c". An item that opens with a participle or a relative pronoun
	// is a clause, not an item.
	enumeration = regexp.MustCompile(`(?i)\pL[\pL\pN'-]*((?:,\s+[\pL\pN'-]+(?:\s[\pL\pN'-]+){0,3}?)+),?\s+and\s+\pL`)
	clause      = regexp.MustCompile(`(?i),\s+(?:\pL+ing|that|which|who|what|or|so)\b|\bor\b`)
	// What follows these words is examples, of which one is enough.
	examples = regexp.MustCompile(`(?i),?\s*\b(such as|for instance|for example|like|including|e\.g\.|through|by|via|with|in place of|instead of)\b.*`)
	joined   = regexp.MustCompile(`(?i)\b(?:and|then|as well as)\s+(?:then\s+|also\s+)?([\pL]+)`)
	bothAnd  = regexp.MustCompile(`(?i)\bboth\s+.+\s+and\s+`)
)

// severalClaims says, for a person, why a statement may hold more than one
// claim; empty when it seems to hold one. It looks for a second verb of the
// same form as the first, for "both … and", and for enumerations that are not
// examples.
func severalClaims(statement string) string {
	if strings.Contains(statement, ";") {
		return "a semicolon"
	}
	first, _, _ := strings.Cut(strings.TrimSpace(statement), " ")
	for _, m := range joined.FindAllStringSubmatch(statement, -1) {
		if sameForm(strings.ToLower(first), strings.ToLower(m[1])) {
			return strings.ToLower(first) + " … and " + m[1]
		}
	}
	claim := examples.ReplaceAllString(statement, "")
	if m := bothAnd.FindString(claim); m != "" {
		return "both … and"
	}
	if m := enumeration.FindStringSubmatch(claim); m != nil && !clause.MatchString(m[1]) {
		return "an enumeration"
	}
	return ""
}

// sameForm reports that two words are verbs of one form: a statement opens
// with its verb, either in the present tense (names, says) or in the past
// (named, kept). A plural noun looks like a present tense, so those that are
// not in the list of verbs are let go.
func sameForm(first, second string) bool {
	switch {
	case isPast(first):
		return isPast(second)
	case strings.HasSuffix(first, "s"):
		return claimVerbs[second]
	}
	return false
}

// claimVerbs are the verbs that statements use, in the third person.
var claimVerbs = wordSet(`names gives says states describes explains tells mentions shows uses makes keeps sets
	defines lists measures tests builds writes runs checks plans reports compares reviews orders ranks limits
	chooses picks starts ends moves puts adds removes cuts reduces raises lowers owns asks answers lets offers
	verifies confirms records tracks watches alerts repairs restores restricts separates splits joins promotes
	deploys releases ships rolls signs scans blocks trims expires rotates hides reads sends returns handles
	quantifies justifies admits concludes decides proposes considers weighs counts plots finds identifies`)

// isPast reports a verb in the past tense, as far as its form shows.
func isPast(word string) bool {
	return strings.HasSuffix(word, "ed") && len(word) > 4 || irregularPast[word]
}

var irregularPast = wordSet(`made got set held kept cut won gave found built led wrote ran chose took told brought
	put met taught grew dealt drew broke spoke sent left let began brought sought fought bought thought caught split
	spent lost wore drove rose shut sat stood understood undertook`)

// opensInThePast reports a statement that opens with a deed: "Cut the bill".
func opensInThePast(statement string) bool {
	ws := words(statement)
	return len(ws) > 0 && isPast(ws[0])
}
