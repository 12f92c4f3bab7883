package importer

import (
	"regexp"
	"strings"

	"github.com/gradus-ai/gradus/internal/rubric"
)

// claim is a criterion in the making.
type claim struct {
	statement     string
	partial, hint string
	// about is what the claim is about, in the words of the page: ids and
	// phrases are made of it.
	about string
	// id is the criterion's; empty means one made of about.
	id       string
	examples []string
	// opening is true where the beginning of the sample answer shows it.
	opening bool
	kind    rubric.CriterionKind
	signal  rubric.Signal
	// units is the weight among the claims of a question before it is made
	// points: 1 is ordinary.
	units float64
	// group numbers the clause it comes from; 0 where it comes from none.
	group int
	// note is what a person has to decide about it.
	note string
}

var (
	definition = regexp.MustCompile(`(?i)^(?:an?|the|your)?\s*(?:\w+\s+)?definition of (.+)$`)
	exampleOf  = regexp.MustCompile(`(?i)^(?:an?|the|one|some|two)?\s*(?:\w+\s+)?(?:examples?|instances?|anecdotes?|stor(?:y|ies)) (?:of|where|in which|when|from|about)\s+(.+)$`)
	versus     = regexp.MustCompile(`(?i)^(?:the )?(.+?)\s+(?:vs\.?|versus)\s+(.+)$`)
	tradeOff   = regexp.MustCompile(`(?i)\btrade-?offs?\b|\bpros and cons\b|\badvantages\b`)
	ordered    = regexp.MustCompile(`(?i)\b(?:priorit\w+|step[- ]by[- ]step|sequence|in order|order of|phases?|phased|roadmap|timeline|milestones|plan for your first)\b`)
	ability    = regexp.MustCompile(`(?i)^(?:(?:your|an?|the) )?(?:\w+ )?(?:ability|capacity|willingness|readiness) to (.+)$`)
	knowing    = regexp.MustCompile(`(?i)^(?:(?:your|an?|the) )?(?:\w+ )?(?:understanding|knowledge|awareness|familiarity|grasp|command|proficiency) (?:of|with|in) (.+)$`)
	youKnow    = regexp.MustCompile(`(?i)^(?:that )?you(?:['’]re)? (?:understand|know|are aware of|aware of|are familiar with|familiar with|recogni[sz]e|appreciate|grasp)\s+(.+)$`)
	youAre     = regexp.MustCompile(`(?i)^(?:that )?you(?:['’](?:re|ve|d|ll))?\s`)
	youCan     = regexp.MustCompile(`(?i)^(?:that )?you (?:can|could|are able to|know how to|will|would|['’]ll|['’]d)\s+(.+)$`)
	wordHow    = regexp.MustCompile(`(?i)^(?:how|why)\b`)
	wordWhat   = regexp.MustCompile(`(?i)^(?:what|which|whom?|when|where|whether)\b`)
	resultWord = regexp.MustCompile(`(?i)\b(?:results?|outcomes?|impacts?|measurable|quantif\w+)\b`)
)

// claim puts a part as something that an answer shows or does not show.
func (p part) claim() claim {
	c := claim{kind: rubric.Core, units: 1, group: p.group, examples: p.examples}
	if p.verb.stress {
		c.units = 1.5
	}
	chunk := strings.TrimSpace(p.rest)
	if m := ability.FindStringSubmatch(chunk); m != nil {
		chunk = "how you " + m[1]
	}
	thing := bare(chunk)
	thing = strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(thing, "your "), "Your "))
	if m := knowing.FindStringSubmatch(chunk); m != nil {
		thing = m[1]
		c.open(thing, "Says what there is to know about "+they(thing), "Mentions "+they(thing)+" without showing what is known of it.", "Say something about "+thing+" that only somebody who knows it would say.")
		return c
	}
	switch {
	case p.verb.form == avoids:
		c.kind, c.units = rubric.Pitfall, 0
		c.open(thing, upper(they(gerundless(thing))), "Comes close to it in passing.", "Leave this out: "+they(thing)+".")
		c.note = "guidance says to avoid this: put it as what an answer does wrong, or drop it"
	case youKnow.MatchString(chunk):
		thing = bare(youKnow.FindStringSubmatch(chunk)[1])
		c.open(thing, "Names "+they(thing), "Hints at "+they(thing)+" without naming anything in particular.", "Name "+thing+" that matter here, and say why.")
	case p.verb.form == measures:
		c.open(thing, "Puts a figure on "+they(thing), "Speaks of "+they(thing)+" without a figure.", "Put a figure on "+thing+", and say what it was before.")
	case wordHow.MatchString(chunk):
		c.how(p, chunk)
	case wordWhat.MatchString(chunk):
		c.open(chunk, "Says "+they(chunk), "Speaks of it without naming anything in particular.", "Name one thing at least: say "+chunk+".")
	case youAre.MatchString(chunk) || strings.HasPrefix(strings.ToLower(chunk), "that "):
		chunk = strings.TrimPrefix(strings.TrimPrefix(chunk, "that "), "That ")
		c.how(p, "how "+chunk)
		c.about = chunk
	case definition.MatchString(chunk):
		thing = definition.FindStringSubmatch(chunk)[1]
		c.open(thing, "Defines "+they(thing), "Uses the term without saying what it is for.", "Say in one sentence what "+thing+" is, and what it is there for.")
		c.about = "definition of " + thing
	case exampleOf.MatchString(chunk):
		thing = exampleOf.FindStringSubmatch(chunk)[1]
		c.open(thing, "Gives an example of "+they(thing), "Speaks of "+they(thing)+" in general, without an example.", "Give one example of "+thing+", with what came of it.")
	case versus.MatchString(chunk):
		m := versus.FindStringSubmatch(thing)
		c.open(thing, "Compares "+they(m[1])+" with "+they(m[2]), "Speaks of one and leaves out the other.", "Set "+m[1]+" beside "+m[2]+", and say when each is the right one.")
	case tradeOff.MatchString(chunk):
		c.open(thing, "Weighs "+they(thing), "Names one side of it only.", "Name what is gained and what is given up: "+thing+".")
	case p.verb.form == joins || p.verb.form == acts:
		if left, right, found := strings.Cut(thing, " to "); found && p.verb.form == joins {
			thing = left + " to " + bare(right)
		}
		c.open(p.name+" "+thing, p.verb.claim+" "+they(itIs(thing)), "Touches on it without saying how.", upper(p.name)+" "+itIs(thing)+", in so many words.")
		if p.verb.form == joins {
			c.about = strings.TrimPrefix(thing, "it to ")
		}
	case p.verb.form == evidence:
		c.open(thing, "Gives evidence of "+they(thing), "Claims "+they(thing)+" without anything that shows it.", "Show "+thing+" by something you did or would do, not by the word.")
	case p.verb.form == names:
		c.open(thing, p.verb.claim+" "+they(thing), "Speaks of "+they(thing)+" without naming anything in particular.", "Be particular about "+thing+": name what, and what it is for.")
	case p.verb.form == gives:
		c.open(thing, "Gives "+they(thing), "Announces it and leaves it at that.", "Add "+thing+".")
	default:
		c.open(thing, p.verb.claim+" "+they(thing), "Mentions "+they(thing)+" without saying what is done, or with what.", "Say what you do about "+thing+", with what, and why.")
	}
	if len(c.examples) > 0 {
		c.statement += ", such as " + anyOf(c.examples)
	}
	if c.kind == rubric.Core && ordered.MatchString(chunk) {
		c.signal = rubric.Prioritised
		if p.verb.form == topic || p.verb.form == names || p.verb.form == gives {
			c.statement = "Lays out " + they(thing)
			c.partial, c.hint = "Lists what there is to do without an order.", "Say what comes first, what next, and what can wait."
		}
	}
	return c
}

// how puts a clause that says how something is done.
func (c *claim) how(p part, chunk string) {
	opening := "Says "
	if p.name == "explain" {
		opening = "Explains "
	}
	c.open(chunk, opening+they(chunk), "Says that it is done, not how.", "Say "+chunk+": the steps, or the means.")
}

func (c *claim) open(about, statement, partial, hint string) {
	c.about, c.statement, c.partial, c.hint = about, statement, partial, hint
}

// itIs puts what "it" stands for in guidance: the answer.
func itIs(s string) string {
	if rest, found := strings.CutPrefix(s, "it "); found {
		return "the answer " + rest
	}
	return s
}

// gerundless is what to avoid as something that is done: "blaming others" is
// "blames others".
func gerundless(s string) string {
	first, rest, _ := strings.Cut(s, " ")
	stem, found := strings.CutSuffix(strings.ToLower(first), "ing")
	if !found || len(stem) < 3 {
		if baseVerbs[strings.ToLower(first)] {
			return third(s)
		}
		return "does this: " + s
	}
	if b, known := ofGerund(first); known {
		return third(b) + " " + rest
	}
	if hasSuffix(stem, "am", "ak", "at", "iz", "is", "in", "us", "uc", "id", "ag", "ar", "ut") {
		stem += "e"
	}
	return third(stem) + " " + rest
}

// name is the id of the criterion.
func (c *claim) name() string {
	if c.id != "" {
		return c.id
	}
	return idOf(strings.TrimPrefix(first(c.about), "I "), little, "claim")
}

// anyOf is a list of alternatives.
func anyOf(of []string) string {
	if len(of) == 1 {
		return of[0]
	}
	return strings.Join(of[:len(of)-1], ", ") + " or " + of[len(of)-1]
}
