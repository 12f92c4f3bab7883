package importer

import (
	"regexp"
	"strings"

	"github.com/gradus-ai/gradus/internal/rubric"
)

var (
	askCut       = regexp.MustCompile(`(?i)(?:,\s*(?:and\s+)?|\s+and\s+|\s*[—–]\s*)((?:how|what|why|when|where|which|who)\b)`)
	ifClause     = regexp.MustCompile(`(?i)^(?:if|when|imagine|suppose|say|given|at|in|as|on)\b[^,?]*,\s+(.+)$`)
	inverted     = regexp.MustCompile(`(?i)^((?:how|why|when|where|what|which|who)(?:\s+(?:much|many|often|long|well|quickly|far))?(?:\s+\pL[\pL-]*){0,4}?)(?:\s+|['’])(do|does|did|would|will|can|could|should|have|are|were|d|ll|ve)\s+you\s+(.+)$`)
	ofThing      = regexp.MustCompile(`(?i)^(how|why|what|when|where)\s+(?:do|does)\s+(.+?)\s+(\pL+)\s+(your\s.+)$`)
	whatIs       = regexp.MustCompile(`(?i)^what(?:['’]s|\s+is|\s+are|\s+was|\s+were|\s+has been|\s+have been)\s+(.+)$`)
	instructs    = regexp.MustCompile(`(?i)^(?:please\s+)?(?:tell (?:me|us) (?:about|how|what|why|when|where|which)|describe|walk (?:me|us) through|talk (?:me|us) through|talk about|explain|discuss|share|outline|give (?:me|us)(?: an example of)?|can you (?:tell (?:me|us) about|describe|explain|give(?: me| us)?(?: an example of)?|walk (?:me|us) through)|could you (?:tell (?:me|us) about|describe|explain)|think of)\s+(.+)$`)
	aTime        = regexp.MustCompile(`(?i)^(?:an? |one |the |your )?(?:\w+ )?(?:time|situation|occasion|case|instance|example|moment|project|experience|incident|example of (?:a time|when|how))\s+(?:when|where|in which|that|of|with)?\s*(.+)$`)
	haveYou      = regexp.MustCompile(`(?i)^(?:have you|did you)(?: ever)?\s+(.+)$`)
	viewOf       = regexp.MustCompile(`(?i)^(?:your |the )?(?:\w+ )?(?:approach|perspective|experience|view|views|opinion|philosophy|strategy|process|take|thoughts?|method|style|understanding|background)\b`)
	termsOf      = regexp.MustCompile(`(?i)^what(['’]s|\s+is|\s+are)\s`)
	definite     = regexp.MustCompile(`(?i)^(?:the|your|our|their|it|this|that|one|some|two|three)\b`)
	questionWord = regexp.MustCompile(`(?i)^(?:how|what|why|when|where|which|who)\b`)
	dashed       = regexp.MustCompile(`[—–][^—–]*,[^—–]*[—–]`)
	determined   = regexp.MustCompile(`(?i)^(?:an?|the|their|our|your)\s`)
	whyToo       = regexp.MustCompile(`(?i)^why(?: not)?$`)
	listed       = regexp.MustCompile(`\(([^)]*,[^)]*)\)|[—–]([^—–]*,[^—–]*)[—–]`)
)

// asksOf is what the words of a question itself ask for, one claim each. A
// question that cannot be turned is asked in its own words.
func asksOf(question string) []claim {
	var out []claim
	for sentence := range sentences(question) {
		plain := strings.TrimRight(parens.ReplaceAllString(sentence, ""), "?. ")
		plain = dashed.ReplaceAllString(plain, " ")
		plain = asked(plain)
		at := askCut.FindAllStringSubmatchIndex(plain, -1)
		from := 0
		for _, m := range at {
			if m[0] > from {
				out = append(out, askClaim(plain[from:m[0]])...)
			}
			from = m[2]
		}
		out = append(out, askClaim(plain[from:])...)
	}
	return out
}

// askClaim is the claim that one thing asked for is answered; none where it is
// no question at all.
func askClaim(ask string) []claim {
	ask = strings.TrimSpace(ask)
	c := claim{kind: rubric.Core, units: 1, about: ask}
	put := func(said, partial, hint string) []claim {
		c.statement, c.partial, c.hint = said, partial, hint
		if ordered.MatchString(ask) {
			c.signal = rubric.Prioritised
		}
		return []claim{c}
	}
	const vague = "Touches on it in general terms only."
	if whyToo.MatchString(ask) {
		c.about = "reasons for it"
		return put("Gives the reasons behind what is chosen", "Asserts that it is better without a reason.", "Add \"because\" to what you choose, with the need that it meets.")
	}
	if m := inverted.FindStringSubmatch(ask); m != nil {
		word, aux, rest := strings.ToLower(m[1]), strings.ToLower(m[2]), m[3]
		switch aux {
		case "do", "does":
			aux = ""
		case "did":
			aux, rest = "", past(rest)
		case "d":
			aux = "would"
		case "ll":
			aux = "will"
		case "ve":
			aux = "have"
		}
		var out []claim
		deed := strings.TrimSpace(aux + " " + rest)
		deeds := []string{deed}
		if left, right, found := strings.Cut(deed, " and "); found && (word == "how" || word == "why") && aux == "" && opensWithVerb(right) && !together.MatchString(deed) {
			deeds = []string{left, right}
		}
		for _, deed := range deeds {
			clause := word + " you " + deed
			c.about = clause
			out = append(out, put("Says "+they(clause), vague, "Answer this in so many words: "+clause+".")...)
		}
		return out
	}
	if m := ofThing.FindStringSubmatch(ask); m != nil {
		verb := third(m[3])
		if strings.Contains(m[2], " and ") {
			verb = m[3]
		}
		clause := strings.ToLower(m[1]) + " " + m[2] + " " + verb + " " + m[4]
		c.about = m[2] + " " + m[3] + " " + m[4]
		return put("Says "+they(clause), vague, "Answer this in so many words: "+clause+".")
	}
	if m := whatIs.FindStringSubmatch(ask); m != nil {
		thing := strings.TrimPrefix(m[1], "your ")
		c.about = thing
		if viewOf.MatchString(m[1]) {
			if thing != m[1] {
				thing = "your " + thing
			}
			return put("Describes "+they(article(thing)), vague, "Say what "+m[1]+" comes down to, with one case.")
		}
		if of := termsOf.FindStringSubmatch(ask); of != nil && !definite.MatchString(m[1]) {
			verb := " is"
			if strings.EqualFold(strings.TrimSpace(of[1]), "are") {
				verb = " are"
			}
			return put("Says what "+they(thing)+verb, vague, "Say in a sentence or two what "+thing+verb+", and what it is for.")
		}
		return put("Names "+they(thing), vague, "Say which it is: "+thing+".")
	}
	if m := instructs.FindStringSubmatch(ask); m != nil {
		thing := m[1]
		switch {
		case questionWord.MatchString(thing):
			c.about = thing
			return put("Says "+they(thing), vague, "Answer this in so many words: "+thing+".")
		case isStory(ask):
			return nil // told by the story's own claims
		}
		c.about = thing
		return put("Describes "+they(bare(strings.TrimPrefix(thing, "your "))), vague, "Describe "+thing+".")
	}
	if !questionWord.MatchString(ask) {
		return nil
	}
	c.note = "put this as a claim: what is seen in an answer that does it?"
	return put("Answers the question "+lower(they(ask)), vague, "Answer this in so many words: "+lower(ask)+".")
}

// article gives a noun phrase that lost its "your" a "the".
func article(s string) string {
	if determined.MatchString(s) {
		return s
	}
	return "the " + s
}

// listsOf is the claims of enumerations that the question makes between dashes,
// where they are what it asks about, and in brackets, where they are examples.
func listsOf(question string) (inDashes, inBrackets []claim) {
	for _, m := range listed.FindAllStringSubmatch(question, -1) {
		for _, i := range items(m[1] + m[2]) {
			p := part{verb: verbs["address"], name: "address", rest: i}
			if m[1] != "" {
				inBrackets = append(inBrackets, p.claim())
			} else {
				inDashes = append(inDashes, p.claim())
			}
		}
	}
	return inDashes, inBrackets
}

// asked is a question without the circumstances ahead of it.
func asked(question string) string {
	if m := ifClause.FindStringSubmatch(question); m != nil && questionWord.MatchString(m[1]) {
		return m[1]
	}
	return question
}
