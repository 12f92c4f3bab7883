package importer

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// form says what a verb of guidance asks for, and so how a claim about it reads.
type form int

const (
	topic    form = iota // say something about it
	evidence             // show it
	names                // name it
	gives                // give it
	measures             // put figures on it
	compares             // set things beside each other
	joins                // relate one thing to another
	acts                 // do it: the verb itself is the claim
	manner               // how to say it: no claim
	avoids               // do not
)

// verb is a verb with which guidance speaks to the reader.
type verb struct {
	// claim is how a statement opens: the verb in the third person, or one that
	// says the same and can be seen in a text.
	claim string
	form  form
	// stress is true where the verb says that this matters more than the rest.
	stress bool
}

// verbs by their words in the base form; of two that fit, the longer counts.
var verbs = func() map[string]verb {
	m := make(map[string]verb)
	add := func(form form, stress bool, claim, list string) {
		for _, v := range strings.Split(list, ",") {
			v = strings.TrimSpace(v)
			c := claim
			if c == "" {
				c = upper(third(v))
			}
			m[v] = verb{c, form, stress}
		}
	}
	add(topic, false, "", "describe, outline, explain, cover, address, present, lay out, walk through, sketch, clarify, summarise, summarize, reflect on, touch on, acknowledge, recognise, recognize, justify, discuss, define, specify, detail, elaborate on, expand on, consider, weigh")
	add(topic, false, "Describes", "talk about, speak about, speak to, discuss, focus on, concentrate on, go over, go into, articulate, tell, recount, think about, draw on, lean on")
	add(topic, false, "Refers to", "reference, refer to, allude to")
	add(names, false, "Names", "name, list, cite, identify, point to, point out, state, specify, call out, be specific about, be clear about, be explicit about, single out, enumerate")
	add(names, false, "Mentions", "mention, note, bring up")
	add(gives, false, "Gives", "give, provide, share, offer, include, use, add, supply, be ready with, come with, bring")
	add(evidence, false, "Gives evidence of", "show, demonstrate, illustrate, convey, express, display, prove, indicate, communicate, reveal, exhibit")
	add(evidence, true, "Gives evidence of", "emphasize, emphasise, highlight, stress, underline, underscore, showcase, accentuate")
	add(measures, true, "Puts a figure on", "quantify, measure, put a number on, put numbers on, put figures on")
	add(compares, false, "Compares", "compare, contrast")
	add(joins, false, "", "connect, tie, link, relate, align, map, match, anchor, ground, root")
	add(acts, true, "", "prioritize, prioritise")
	add(acts, false, "", "balance, choose, pick, select, start, begin, end, close, conclude, finish, frame, structure, separate, distinguish, treat, set, build, plan, propose, recommend, keep, avoid, make, take, ask, clarify, seek, test, verify, check, research, admit, own, accept")
	add(topic, false, "Describes", "combine, pair, mix, blend")
	add(avoids, false, "", "avoid, do not, don't, don’t, never, steer clear of, refrain from, stay away from, resist, beware of, be careful not to, try not to")
	add(manner, false, "", "be, keep it, keep your, keep the, stay, remain, remember, make it, tailor, practice, practise, rehearse, prepare, speak, smile, relax")
	return m
}()

// directive finds the verb that a clause opens with and what follows it.
func directive(clause string) (v verb, name, rest string, ok bool) {
	words := strings.Fields(clause)
	for n := min(5, len(words)); n > 0; n-- {
		name = strings.ToLower(strings.Trim(strings.Join(words[:n], " "), ",:"))
		if v, ok = verbs[name]; ok {
			return v, name, strings.Join(words[n:], " "), true
		}
	}
	return verb{}, "", clause, false
}

// ofGerund is the base form of a verb that ends in "ing", where it is known.
func ofGerund(gerund string) (string, bool) {
	stem, found := strings.CutSuffix(strings.ToLower(gerund), "ing")
	if !found || len(stem) < 3 {
		return "", false
	}
	for _, b := range []string{stem, stem + "e", stem[:len(stem)-1]} {
		if _, known := verbs[b]; known || baseVerbs[b] {
			return b, true
		}
	}
	return "", false
}

// third is the third person of a verb phrase: "lay out" is "lays out".
func third(phrase string) string {
	first, rest, _ := strings.Cut(phrase, " ")
	switch {
	case first == "be":
		first = "is"
	case first == "have":
		first = "has"
	case strings.HasSuffix(first, "y") && !strings.ContainsAny(first[max(0, len(first)-2):len(first)-1], "aeiou"):
		first = first[:len(first)-1] + "ies"
	case hasSuffix(first, "s", "x", "z", "ch", "sh", "o"):
		first += "es"
	default:
		first += "s"
	}
	if rest == "" {
		return first
	}
	return first + " " + rest
}

func hasSuffix(s string, suffixes ...string) bool {
	for _, x := range suffixes {
		if strings.HasSuffix(s, x) {
			return true
		}
	}
	return false
}

// upper is s with its first letter in upper case.
func upper(s string) string {
	_, first := utf8.DecodeRuneInString(s)
	return strings.ToUpper(s[:first]) + s[first:]
}

// lower is s with its first letter in lower case, unless it opens with a name
// or an abbreviation.
func lower(s string) string {
	first, _, _ := strings.Cut(s, " ")
	_, size := utf8.DecodeRuneInString(s)
	if len(first) > size && strings.ToLower(first[size:]) != first[size:] || first == "I" || strings.HasPrefix(first, "I'") || strings.HasPrefix(first, "I’") {
		return s
	}
	return strings.ToLower(s[:size]) + s[size:]
}

// irregular are past forms that do not end in "ed", by their base form.
var irregular = wordMap(`make made, do did, go went, take took, lead led, build built, get got, give gave, keep kept, hold held,
	run ran, write wrote, choose chose, find found, tell told, bring brought, put put, set set, cut cut, meet met, teach taught,
	grow grew, deal dealt, draw drew, break broke, speak spoke, send sent, leave left, let let, begin began, seek sought,
	fight fought, buy bought, think thought, catch caught, spend spent, lose lost, win won, drive drove, rise rose, sit sat,
	stand stood, understand understood, overcome overcame, say said, see saw, know knew, learn learned, fall fell, feel felt,
	have had, come came, become became, pay paid, read read, sell sold, split split, troubleshoot troubleshot, wear wore`)

func wordMap(list string) map[string]string {
	m := make(map[string]string)
	for _, pair := range strings.Split(list, ",") {
		f := strings.Fields(pair)
		m[f[0]] = f[1]
	}
	return m
}

var doubled = regexp.MustCompile(`^(?:plan|ship|stop|drop|swap|cut|set|scan|trim|map|prefer|refer|commit|control|debug|log|rig|tag|wrap)$`)

// past is the past tense of a verb phrase in its base form.
func past(phrase string) string {
	first, rest, more := strings.Cut(phrase, " ")
	switch p, ok := irregular[strings.ToLower(first)]; {
	case ok:
		first = p
	case doubled.MatchString(first):
		first += first[len(first)-1:] + "ed"
	case strings.HasSuffix(first, "e"):
		first += "d"
	case strings.HasSuffix(first, "y") && len(first) > 1 && !strings.ContainsAny(first[len(first)-2:len(first)-1], "aeiou"):
		first = first[:len(first)-1] + "ied"
	default:
		first += "ed"
	}
	if more {
		return first + " " + rest
	}
	return first
}

var irregularPast = func() map[string]bool {
	m := make(map[string]bool)
	for _, p := range irregular {
		m[p] = true
	}
	return m
}()

// baseVerbs open a phrase that is something to do, not a thing: "gather
// feedback and expand capabilities" is two deeds.
var baseVerbs = func() map[string]bool {
	m := make(map[string]bool)
	for _, w := range strings.Fields(`achieve adapt add adjust adopt align analyse analyze apply approach assess assign avoid balance begin bring build
		buy calm check choose close collect combine communicate complete coordinate correct create cut deal decide define delegate deliver design
		develop document drive earn educate encourage engage ensure escalate establish evaluate evolve expand explain find fix follow gain gather get
		give grow guide handle help hold identify implement improve include increase influence integrate involve iterate justify keep lead learn
		limit listen look maintain make manage measure mentor minimise minimize monitor motivate move negotiate observe organise organize own
		plan prepare prevent prioritise prioritize promote propose protect provide pursue raise reach react recognise recognize recover reduce
		reflect resolve respond respect review run save scale search secure seek select serve set share ship solve sort speak stabilise stabilize
		stay stop strengthen structure succeed suggest support tackle take teach test track train turn understand update use validate verify weigh
		work write win motivate persuade convince calm cope thrive contribute collaborate delegate lower`) {
		m[w] = true
	}
	for w := range irregular {
		m[w] = true
	}
	return m
}()

// opensWithVerb reports a phrase that opens with a verb, as far as its form shows.
func opensWithVerb(phrase string) bool {
	first, rest, _ := strings.Cut(strings.ToLower(phrase), " ")
	return rest != "" && (baseVerbs[first] || irregularPast[first] || objected.MatchString(phrase)) || isPast(phrase)
}

// objected is a word that is a verb by what follows it: "widen the menu".
var objected = regexp.MustCompile(`(?i)^\pL{3,}\s(?:the|a|an|your|their|it|them|others)\s?`)

// isPast reports a phrase that opens with a deed done.
func isPast(phrase string) bool {
	first, _, _ := strings.Cut(strings.ToLower(phrase), " ")
	return strings.HasSuffix(first, "ed") && len(first) > 4 || strings.HasPrefix(first, "re-") && strings.HasSuffix(first, "ed") || irregularPast[first] && !baseVerbs[first]
}
