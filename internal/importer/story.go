package importer

import (
	"regexp"
	"slices"
	"strings"

	"github.com/gradus-ai/gradus/internal/rubric"
)

var (
	story = regexp.MustCompile(`(?i)\b(?:(?:tell (?:me|us)|talk) about (?:an? |one |the |your )?[^.?]*?\b(?:time|situation|occasion|case|moment|experience|you (?:led|made|had|were|did|took|gave|built|solved|handled|faced|failed|\pL+ed|troubleshot))\b|` +
		`describe (?:an? |one |the |your )?(?:\pL+ )*?(?:time|situation|occasion|case|project|moment|conflict|challenge|incident|decision|mistake|failure|success)\b|(?:give|share|provide)(?: me| us)? (?:an?|one|some) (?:\w+ )?(?:example|instance|time)|` +
		`have you (?:ever )?(?:\pL+ed|led|had|made|been|built|dealt|given|taken|done|worked|run|written|faced)\b|(?:how|what|which|where)(?:\s+\pL+){0,3} have you \pL+|what has been your experience|what did you do|how did you \pL+|` +
		`(?:biggest|greatest|proudest|toughest|hardest|worst|best) (?:\w+ )?(?:mistake|failure|success|accomplishment|achievement|challenge))`)
	view   = regexp.MustCompile(`(?i)^what(?:['’]s| is| are) your (?:\w+ )?(?:perspective|views?|opinion|philosophy|take|thoughts?|approach)\b`)
	motive = regexp.MustCompile(`(?i)\b(?:why (?:are you|do you want|did you (?:choose|apply|become)|would you like|this (?:job|company|role|position)|us\b|here\b|should we|our|do you think you)|(?:excite|motivate|interest|attract|inspire|drive)s? you\b|` +
		`are you (?:excited|interested|passionate|leaving|looking)|where do you see yourself|career (?:goals?|plans?|path)|passion(?:ate)?\b|(?:company|team|workplace|our|healthy|strong|inclusive)(?:\W+\w+){0,2}\W+culture\b|our values\b|ideal (?:job|role|workplace|company|team)|work-life|salary)`)
)

// ofStory is what the first two claims of a story ask for already.
var ofStory = regexp.MustCompile(`(?i)^(?:the |your )?(?:situation|context|background|task|role in it|actions?|steps)(?: (?:that )?you (?:took|were in|had))?$`)

// isStory reports a question about something that happened.
func isStory(question string) bool { return story.MatchString(question) }

// kindOf guesses what a question asks for.
func kindOf(question string) rubric.Kind {
	switch {
	case view.MatchString(question):
		return rubric.Technical
	case isStory(question):
		return rubric.Behavioural
	case motive.MatchString(question):
		return rubric.Motivational
	}
	return rubric.Technical
}

// told is the three claims that make a story one: it happened, the candidate
// acted, something came of it. claims that ask for the result already are
// taken for the third.
func told(question string, claims []claim) []claim {
	happened := claim{
		statement: "Tells of one real case: what it was about, and what was at stake",
		partial:   "Speaks in general, or of what they would do.",
		hint:      "Pick one case that happened, and say in two sentences where that was and what was at stake.",
		about:     storyOf(question), id: "real-case", kind: rubric.Core, units: 0.75, opening: true,
	}
	own := claim{
		statement: "Says what they did themselves, step by step",
		partial:   "Says what the team did, and leaves open who did what.",
		hint:      "Say what you did yourself, with \"I\" and a verb for each step.",
		about:     "own actions", id: "own-actions", kind: rubric.Core, signal: rubric.OwnActions, units: 1.5,
	}
	claims = slices.DeleteFunc(slices.Clone(claims), func(c claim) bool { return c.kind == rubric.Core && ofStory.MatchString(c.about) })
	out := append([]claim{happened, own}, claims...)
	counted := false
	for i := range out {
		c := &out[i]
		if c.kind == rubric.Core && c.signal == "" && !c.opening && (strings.HasPrefix(c.statement, "Puts a figure on") || resultWord.MatchString(c.about) && !asks.MatchString(c.about)) {
			if counted {
				continue // a second one would be proven by the same sentence
			}
			c.signal, counted = rubric.Quantified, true
			c.partial = "Names what came of it without a figure."
		}
		if c.signal == rubric.Prioritised {
			c.signal = ""
		}
	}
	if !counted {
		out = append(out, claim{
			statement: "Says what came of it in figures",
			partial:   "Names a result without a figure.",
			hint:      "End with what came of it, and put one figure to it.",
			about:     "measured result", id: "measured-result", kind: rubric.Core, signal: rubric.Quantified, units: 1.25,
		})
	}
	return out
}

// storyOf is what a question wants a story of: "an incident you led".
func storyOf(question string) string {
	for sentence := range sentences(question) {
		if at := askCut.FindStringIndex(sentence); at != nil && at[0] > 0 {
			sentence = sentence[:at[0]]
		}
		if m := instructs.FindStringSubmatch(strings.TrimRight(sentence, "?. ")); m != nil {
			if t := aTime.FindStringSubmatch(m[1]); t != nil && t[1] != "" {
				return t[1]
			}
			return m[1]
		}
		if m := haveYou.FindStringSubmatch(strings.TrimRight(sentence, "?. ")); m != nil {
			return "you " + m[1]
		}
	}
	return "one real case"
}

// reserve is what fills a question up to five criteria when neither guidance
// nor question ask for as many. A story is a case from one's own work already.
func reserve(kind rubric.Kind) []claim {
	const note = "neither guidance nor question ask for this; it fills the question up to five criteria: keep, replace or drop it"
	all := []claim{
		{
			statement: "Gives a reason for at least one choice", partial: "Asserts that something is better without a reason.",
			hint: "Add \"because\" to one thing you do, with the need that it meets.", about: "reasons for choices", id: "reasons", kind: rubric.Core, units: 0.75, note: note,
			examples: []string{"because it means that", "so that we can", "the reason is"},
		},
		{
			statement: "Backs what is said with a case from their own work", partial: "Hints at experience without a case.",
			hint: "Add one case from your own work, in a sentence.", about: "case from own work", id: "own-case", kind: rubric.Core, units: 0.75, note: note,
			examples: []string{"for example in my last job", "when I worked on", "at my previous company I"},
		},
		{
			statement: "Says how one would know that it works", partial: "Hopes that it works.",
			hint: "Say what you would look at to know that it works.", about: "signs that it works", id: "check", kind: rubric.Core, units: 0.75, note: note,
			examples: []string{"I check whether it worked", "I track the effect", "we look at the figures"},
		},
		{
			statement: "Names a limit of the approach or what could go wrong", partial: "Admits that nothing is perfect.",
			hint: "Name one thing that could go wrong, and what you would do then.", about: "limits and risks", id: "limits", kind: rubric.Core, units: 0.75, note: note,
			examples: []string{"the risk is", "the downside is", "it would not work when"},
		},
		{
			statement: "Says what comes first and what can wait", partial: "Lists things without an order.",
			hint: "Say what you do first, and what can wait.", about: "order of steps", id: "order", kind: rubric.Core, signal: rubric.Prioritised, units: 0.75, note: note,
		},
	}
	if kind == rubric.Behavioural {
		all = slices.DeleteFunc(all, func(c claim) bool { return c.id == "own-case" })
	}
	return all
}
