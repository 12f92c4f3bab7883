package grading

import (
	"slices"
	"strings"
	"unicode"

	"github.com/gradus-ai/gradus/internal/rubric"
)

// starter begins a sentence for the candidate to finish. It takes the deed from
// the criterion where the criterion is worded as one ("Hardens access through a
// vault" makes "I would harden access"), and holds placeholders in place of
// facts: only the candidate has those. Beginnings in begun are taken already;
// the one chosen is added to them.
func starter(kind rubric.Kind, c rubric.Criterion, begun map[string]bool) string {
	s := beginning(kind, c)
	for _, other := range others[kind] {
		if !begun[s] {
			break
		}
		s = other
	}
	begun[s] = true
	return s
}

// others take the place of a beginning that stands with another fix already.
var others = map[rubric.Kind][]string{
	rubric.Technical: {
		"Take [one case]: I would [what you would do], because [your reason].",
		"I would settle this by [your way], and think again when [the sign to watch for].",
	},
	rubric.Behavioural: {
		"It came to a point when [what happened]: I [what you did], since [your reason].",
		"To be exact, [who] and I [what you did], and from then on [what changed].",
	},
	rubric.Motivational: {
		"At [where you worked] I [what you did], and here that means [what you would do].",
		"Within [how long] I would [what you would do], so that [who] notices [what changes].",
	},
}

// beginning is the starter that suits a criterion best.
func beginning(kind rubric.Kind, c rubric.Criterion) string {
	switch {
	case c.Kind == rubric.Pitfall:
		return "Put differently: [what you did or would do about it yourself]."
	case c.Signal == rubric.Quantified:
		return "That moved [your metric: minutes to recover, for example] from [before] to [after] within [how long]."
	case c.Signal == rubric.OwnActions:
		return "I myself [what you did first], then I [what you did next], so that [what changed]."
	case c.Signal == rubric.PastEvent:
		return "At [where you worked], when [what happened], [who] was affected and I had to [your task]."
	case c.Signal == rubric.Prioritised:
		return "First I would [first step], because [why it comes first]; after that [second step], and only then [third step]."
	}
	words := strings.FieldsFunc(strings.ToLower(c.Statement), func(r rune) bool { return !unicode.IsLetter(r) })
	says := func(list ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(list, w) })
	}
	switch deed, past := deedOf(c.Statement); {
	case deed != "" && past:
		return "I " + deed + ": [what you did, and with whom], so that [what changed]."
	case deed != "" && kind == rubric.Technical:
		return "I would " + deed + ": [what exactly], with [tool or practice], because [your reason]."
	case deed != "" && kind == rubric.Motivational:
		return "I would " + deed + ": [what exactly], because [your reason]."
	case kind == rubric.Behavioural:
		return "At [where you worked], [what happened]; I [what you did], and [what changed]."
	case kind == rubric.Motivational:
		return "What speaks to me is [something specific], because [your own experience]."
	case len(words) > 0 && words[0] == "defines":
		return "By [the term] I mean [what it is], and it is there for [whom] to [what they gain]."
	case says("names", "states") && says("measure", "measures", "metric", "metrics", "figure", "figures", "indicator"):
		return "I would watch [your metric], note where it stands today, and look again after [how long]."
	case says("why", "reason", "reasons", "gain"):
		return "I would choose [your choice] over [the alternative], because [your reason]; the price is [what you give up]."
	}
	return "In concrete terms: [your point], because [your reason]; for example, [one case]."
}

// deeds are the verbs, in their base form, with which criteria say what a
// candidate does rather than what an answer says.
var deeds = strings.Fields(`accept adapt add alert apply assess automate back begin build change choose combine control
	count cut decide deliver detect drop ease eliminate enforce export expose follow govern grant guard hand harden
	hold improve increase inform instrument involve isolate keep lay let limit lower make measure monitor move offer pilot
	place plan prefer prepare prevent promote protect prove put raise read record recreate reduce remove replace reserve
	run scan schedule secure send separate set settle shield shorten simplify speed split start steer stop store
	teach test tie trace track train treat try tune use validate verify weigh work write`)

// pastDeeds are the same for what a candidate did.
var pastDeeds = strings.Fields(`adapted agreed assessed automated built changed chose cut decided delivered did drew eased
	found gave got had held helped improved informed introduced kept led left made measured moved prepared prevented
	protected proved put ran reduced removed replaced restated restored set shortened solved spared split started stopped
	taught took trained used won worked wrote`)

// Where a deed ends and the ways to do it begin.
var deedEnds = []string{", such as ", " such as ", ", by ", " by ", ", through ", " through ", ", with ", " with ", ", for instance ",
	", so that ", " so that ", ", instead of ", " instead of ", ", rather than ", " rather than ", " via ", ", including ", ", in place of ", " in place of ", ", and ", " and says "}

// longestDeed is what may follow the verb of a deed that still makes the
// beginning of a sentence, in words.
const longestDeed = 9

// deedOf is what a statement says that a candidate does, or did, as it follows
// "I would" or "I"; "" where it does not begin with such a deed.
func deedOf(statement string) (deed string, past bool) {
	verb, rest, _ := strings.Cut(strings.TrimSuffix(statement, "."), " ")
	verb = strings.ToLower(verb)
	if past = slices.Contains(pastDeeds, verb); !past {
		if verb = base(verb); !slices.Contains(deeds, verb) {
			return "", false
		}
	}
	end := len(rest)
	for _, s := range deedEnds {
		if i := strings.Index(rest, s); i > 0 {
			end = min(end, i)
		}
	}
	rest = strings.TrimSuffix(strings.TrimSuffix(rest[:end], " or"), " and")
	if rest == "" || strings.ContainsAny(rest, ",;:()") || strings.Contains(rest, " - ") || len(strings.Fields(rest)) > longestDeed {
		return "", false
	}
	return verb + " " + strings.ReplaceAll(" "+rest, " own ", " my own ")[1:], past
}

// base is the base form of a verb in the third person: "hardens", "tries",
// "reaches".
func base(verb string) string {
	stem, third := strings.CutSuffix(verb, "s")
	if !third {
		return ""
	}
	if y, ok := strings.CutSuffix(stem, "ie"); ok && len(y) > 1 {
		return y + "y" // "ties" keeps its end
	}
	for _, hiss := range []string{"ss", "sh", "ch", "x", "zz"} {
		if s, ok := strings.CutSuffix(stem, "e"); ok && strings.HasSuffix(s, hiss) {
			return s
		}
	}
	return stem
}
