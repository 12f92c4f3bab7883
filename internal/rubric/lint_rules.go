package rubric

import (
	"math"
	"regexp"
	"slices"
	"strings"
)

// What the form rules ask for.
const (
	minCriteria    = 5
	maxCriteria    = 9
	maxCoreWeight  = 25
	maxBonusTotal  = 5
	mildestPitfall = -5
	worstPitfall   = -10
	minPhrases     = 3
	minSampleWords = 40
	// leakRun is how many words in a row a hint may not share with the sample
	// answer. Runs of five turn up by chance in ordinary prose.
	leakRun = 6
	// overlapLimit is the share of the shorter statement's stems that two
	// criteria may have in common.
	overlapLimit = 0.75
	minOverlap   = 3
)

// rules is every form rule, with what it means: help texts are made from it.
var rules = []rule{
	{
		Rule: Rule{"title-missing", "the set has a title for people", Error},
		ofSet: func(l *linter, s *Set) {
			if s.Title == "" {
				l.note("", "/title", "the set has no title")
			}
		},
	},
	{
		Rule:       Rule{"intent-missing", "each question says what the interviewer wants to learn", Error},
		ofQuestion: present("intent", func(q *Question) string { return q.Intent }),
	},
	{
		Rule:       Rule{"guidance-missing", "each question has guidance for whoever prepares an answer", Error},
		ofQuestion: present("guidance", func(q *Question) string { return q.Guidance }),
	},
	{
		Rule: Rule{"sample-short", "each question has a sample answer of at least 40 words, since copying of a shorter one cannot be noticed", Error},
		ofQuestion: func(l *linter, q *Question) {
			if n := len(strings.Fields(q.SampleAnswer)); n < minSampleWords {
				l.found("sample_answer", "the sample answer has %d words of at least %d", n, minSampleWords)
			}
		},
	},
	{
		Rule: Rule{"criteria-count", "each question has five to nine criteria", Error},
		ofQuestion: func(l *linter, q *Question) {
			if n := len(q.Criteria); n < minCriteria || n > maxCriteria {
				l.found("criteria", "%d criteria; %d to %d can be told apart and kept in mind", n, minCriteria, maxCriteria)
			}
		},
	},
	{
		Rule: Rule{"core-weight", "no core criterion weighs more than 25", Error},
		ofQuestion: eachCriterion(func(l *linter, i int, c *Criterion) {
			if c.Kind == Core && c.Weight > maxCoreWeight {
				l.foundAt(i, "weight", "weight %g; above %d a single verdict decides the grade: split the claim", c.Weight, maxCoreWeight)
			}
		}),
	},
	{
		Rule: Rule{"bonus-total", "bonus criteria add at most 5 points together", Error},
		ofQuestion: func(l *linter, q *Question) {
			total := 0.0
			for _, c := range q.Criteria {
				if c.Kind == Bonus {
					total += c.Weight
				}
			}
			if total > maxBonusTotal {
				l.found("criteria", "the bonus criteria add up to %g points; at most %d count", math.Round(total*100)/100, maxBonusTotal)
			}
		},
	},
	{
		Rule: Rule{"pitfall-weight", "a pitfall costs 5 to 10 points", Error},
		ofQuestion: eachCriterion(func(l *linter, i int, c *Criterion) {
			if c.Kind == Pitfall && (c.Weight > mildestPitfall || c.Weight < worstPitfall) {
				l.foundAt(i, "weight", "weight %g; a pitfall costs %d to %d points", c.Weight, -mildestPitfall, -worstPitfall)
			}
		}),
	},
	{
		Rule: Rule{"partial-missing", "each core and bonus criterion says what earns half", Error},
		ofQuestion: eachCriterion(func(l *linter, i int, c *Criterion) {
			if c.Partial == "" && c.Kind != Pitfall {
				l.foundAt(i, "partial", "nothing says what earns half")
			}
		}),
	},
	{
		Rule: Rule{"hint-missing", "each criterion has a hint for someone who missed it, or fell into the pitfall", Error},
		ofQuestion: eachCriterion(func(l *linter, i int, c *Criterion) {
			if c.Hint == "" {
				l.foundAt(i, "hint", "there is no hint for someone who missed it")
			}
		}),
	},
	{
		Rule: Rule{"hint-leaks", "no hint repeats six words in a row of the sample answer", Error},
		ofQuestion: func(l *linter, q *Question) {
			sample := runs(words(q.SampleAnswer), leakRun)
			for i, c := range q.Criteria {
				hint := words(c.Hint)
				for at := 0; at+leakRun <= len(hint); at++ {
					if run := strings.Join(hint[at:at+leakRun], " "); sample[run] {
						l.foundAt(i, "hint", "the hint gives away the sample answer: %q", run)
						break
					}
				}
			}
		},
	},
	{
		Rule: Rule{"few-phrases", "each criterion that has no signal has at least three phrases", Error},
		ofQuestion: eachCriterion(func(l *linter, i int, c *Criterion) {
			if n := len(c.Phrases); n < minPhrases && c.Signal == "" {
				l.foundAt(i, "phrases", "%d phrases; the judge without a model needs at least %d ways to say it", n, minPhrases)
			}
		}),
	},
	{
		Rule:       Rule{"shared-phrase", "no phrase stands twice in a question, for it would prove two claims at once", Warning},
		ofQuestion: sharedPhrases,
	},
	{
		Rule: Rule{"one-claim", "a statement makes one claim: one verb, no enumeration with `and`", Warning},
		ofQuestion: eachCriterion(func(l *linter, i int, c *Criterion) {
			if c.Kind == Pitfall {
				return
			}
			if claims := severalClaims(c.Statement); claims != "" {
				l.foundAt(i, "statement", "this may be several claims (%s); split it, or join alternatives with `or`", claims)
			}
		}),
	},
	{
		Rule: Rule{"rewards-length", "nothing earns points for being long: not comprehensive, detailed, or at least five", Warning},
		ofQuestion: eachCriterion(func(l *linter, i int, c *Criterion) {
			if word := lengthWords.FindString(c.Statement); word != "" && c.Kind != Pitfall {
				l.foundAt(i, "statement", "%q rewards length; name what has to be there", word)
			}
		}),
	},
	{
		Rule: Rule{"construct", "a statement is visible in the text; qualities of the person belong in the intent", Warning},
		ofQuestion: eachCriterion(func(l *linter, i int, c *Criterion) {
			if word := constructWords.FindString(c.Statement); word != "" {
				l.foundAt(i, "statement", "%q is a judgement of the person, not something the answer says; move it to the intent", word)
			}
		}),
	},
	{
		Rule:       Rule{"implied", "no criterion implies another, for a judge would mark both", Warning},
		ofQuestion: implied,
	},
	{
		Rule: Rule{"behavioural-result", "a behavioural question has a criterion for a result in numbers", Error},
		ofQuestion: func(l *linter, q *Question) {
			if q.Kind == Behavioural && !slices.ContainsFunc(q.Criteria, asksForNumbers) {
				l.found("criteria", "no criterion asks for a result in numbers; add one with `signal: %s`", Quantified)
			}
		},
	},
	{
		Rule: Rule{"behavioural-own-action", "a behavioural question has a criterion for what the candidate did", Error},
		ofQuestion: func(l *linter, q *Question) {
			if q.Kind == Behavioural && !slices.ContainsFunc(q.Criteria, asksForDeeds) {
				l.found("criteria", "no criterion asks what the candidate did; add one with `signal: %s` or one that opens with a verb in the past tense", OwnActions)
			}
		},
	},
	{
		Rule: Rule{"technical-signal", "a technical question does not ask for own actions, past events or measured results", Error},
		ofQuestion: eachCriterion(func(l *linter, i int, c *Criterion) {
			switch c.Signal {
			case OwnActions, PastEvent, Quantified:
				if l.question.Kind == Technical && c.Kind == Core {
					l.foundAt(i, "signal", "the signal %s fits a behavioural question; a technical one asks for a design, not for a story", c.Signal)
				}
			}
		}),
	},
}

// present is a check that a text of the question is there.
func present(name string, text func(*Question) string) func(*linter, *Question) {
	return func(l *linter, q *Question) {
		if text(q) == "" {
			l.found(name, "the question has no %s", name)
		}
	}
}

func sharedPhrases(l *linter, q *Question) {
	owner := make(map[string]string)
	for i, c := range q.Criteria {
		for _, p := range c.Phrases {
			key := strings.Join(words(p), " ")
			if first, again := owner[key]; again {
				l.foundAt(i, "phrases", "the phrase %q also stands under %s", p, first)
				continue
			}
			owner[key] = c.ID
		}
	}
}

// implied compares the content of each pair of statements, leaving out what
// the question itself says.
func implied(l *linter, q *Question) {
	asked := stems(q.Text)
	contents := make([]map[string]bool, len(q.Criteria))
	for i, c := range q.Criteria {
		contents[i] = stems(c.Statement)
		for s := range asked {
			delete(contents[i], s)
		}
	}
	for i := range q.Criteria {
		for j := range i {
			if q.Criteria[i].Kind != q.Criteria[j].Kind {
				continue // a pitfall is often the opposite of a claim, in the same words
			}
			common := 0
			for s := range contents[i] {
				if contents[j][s] {
					common++
				}
			}
			shorter := min(len(contents[i]), len(contents[j]))
			if common >= minOverlap && float64(common) >= overlapLimit*float64(shorter) {
				l.foundAt(i, "statement", "it says much the same as %s (%d of %d words); who meets one may meet the other by that alone",
					q.Criteria[j].ID, common, shorter)
			}
		}
	}
}

func asksForNumbers(c Criterion) bool {
	return c.Kind == Core && (c.Signal == Quantified || numberWords.MatchString(c.Statement))
}

func asksForDeeds(c Criterion) bool {
	return c.Kind == Core && (c.Signal == OwnActions || opensInThePast(c.Statement) || ownWords.MatchString(c.Statement))
}

var (
	numberWords = regexp.MustCompile(`(?i)\b(numbers?|figures?|quantif\w+|measured|how much|how many|percent\w*|metrics?)\b`)
	ownWords    = regexp.MustCompile(`(?i)\b(own (actions?|deeds?|part|role|contribution)|personally|themselves|first person)\b`)

	lengthWords = regexp.MustCompile(`(?i)\b(comprehensive(ly)?|exhaustive(ly)?|extensive(ly)?|thorough(ly)?|elaborate[sd]?|lengthy|detailed|in (great )?detail|in[- ]depth|at length|` +
		`at least (three|four|five|six|seven|eight|nine|ten|[3-9]|\d\d+)\b|(three|four|five|[3-9]|\d\d+) or more|as many as possible|a (long|wide|large) (list|range|number))\b`)

	constructWords = regexp.MustCompile(`(?i)\b(gauges?|assess(es)? whether|leadership (qualit\w+|skills?|potential)|(strong|good|great|solid|deep|clear|excellent) (understanding|knowledge|communication|grasp|skills?)|` +
		`(communication|people|soft|interpersonal|analytical|problem[- ]solving|technical) skills?|ability to|is able to|is capable of|has the capacity|knowledge of|familiarity with|` +
		`understands?|demonstrates?|shows (understanding|knowledge|leadership|maturity|ownership|empathy|passion|awareness)|cultural fit|culture fit|growth mindset|mindset|maturity|seniority|passion(ate)?|enthusias\w+|confident(ly)?|professional(ism)?)\b`)
)
