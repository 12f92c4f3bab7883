package grading

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/rubric"
)

const (
	maxStrengths    = 2
	maxImprovements = 3
	leastPoints     = .05 // less is shown as 0.0 and not worth a fix
)

// feedback says where the answer stands, what it does well in its own words,
// what to fix first and what to expect next. It is built by rule from the
// rubric and the verdicts, so both judges' feedback reads alike; the only
// words a judge adds are the comments that were found fit to leave. Where worth
// is given, it is what points of the judge's come to in points of the score.
func feedback(q *rubric.Question, g *Grade, blank bool, worth func(points float64) float64) Feedback {
	fixes := improvements(q, g, worth)
	return Feedback{
		Summary:      summary(g, fixes, blank),
		Strengths:    strengths(g),
		Improvements: fixes,
		FollowUp:     followUp(q.Kind, g),
	}
}

// summary speaks of the answer, never of the person, and holds no score.
func summary(g *Grade, fixes []Improvement, blank bool) string {
	if g.Score == nil {
		return "The answer could not be judged; a person should look at it."
	}
	if blank {
		return "There is no answer here to judge yet. The fixes say what it could begin with."
	}
	parts := []string{standing(g)}
	if unknown := g.count(judge.CannotAssess); unknown > 0 {
		parts = append(parts, fmt.Sprintf("%s could not be judged and %s left out of the score.",
			plural(unknown, "criterion", "criteria"), verb(unknown, "is", "are")))
	}
	if len(fixes) > 1 {
		// With a single thing to fix the fix itself says it all.
		parts = append(parts, fmt.Sprintf("Most is to be won on %s and %s.", g.topic(fixes[0].CriterionID), g.topic(fixes[1].CriterionID)))
	}
	var extra, pitfalls []string
	for i := range g.Criteria {
		switch c := &g.Criteria[i]; {
		case !c.Verdict.Credited():
		case c.Kind == rubric.Bonus:
			extra = append(extra, c.topic())
		case c.Kind == rubric.Pitfall:
			pitfalls = append(pitfalls, c.quoted())
		}
	}
	if len(extra) > 0 {
		parts = append(parts, fmt.Sprintf("It earns extra points for %s.", strings.Join(extra, " and ")))
	}
	if len(pitfalls) > 0 {
		parts = append(parts, fmt.Sprintf("It loses points for %s to avoid: %s.",
			verb(len(pitfalls), "one thing", "things"), strings.Join(pitfalls, " and ")))
	}
	if g.Provenance.Judge == Lexical {
		parts = append(parts, "This is an estimate made without a model.")
	}
	return strings.Join(parts, " ")
}

// standing is how many core criteria the answer meets, in words.
func standing(g *Grade) string {
	core := 0
	for _, c := range g.Criteria {
		if c.Kind == rubric.Core {
			core++
		}
	}
	met, partly, against := g.count(judge.Met), g.count(judge.Partial), g.count(judge.Contradicted)
	switch {
	case met == core && core == 1:
		return "The answer meets the criterion."
	case met == core:
		return "The answer meets every criterion."
	case core == 1 && partly == 1:
		return "The answer meets the criterion in part."
	case core == 1 && against == 1:
		return "The answer says the opposite of what is looked for."
	case met+partly+against == 0:
		return "The answer does not yet speak to " + verb(core, "the criterion.", "any of the criteria.")
	}
	said := fmt.Sprintf("The answer meets %d of %d criteria", met, core)
	switch {
	case met == 0 && partly == 0:
		said = fmt.Sprintf("The answer meets none of %d criteria", core)
	case met == 0:
		said = fmt.Sprintf("The answer meets %d of %d criteria in part, and none in full", partly, core)
	case partly > 0:
		said += fmt.Sprintf(" and %d more in part", partly)
	}
	if against > 0 {
		said += fmt.Sprintf(", and says the opposite of what %d %s for", against, verb(against, "asks", "ask"))
	}
	return said + "."
}

// count is the number of core criteria with a verdict.
func (g *Grade) count(v judge.Verdict) int {
	n := 0
	for _, c := range g.Criteria {
		if c.Kind == rubric.Core && c.Verdict == v {
			n++
		}
	}
	return n
}

// strengths are the credited criteria that earned most, each with a quote that
// stands in the answer.
func strengths(g *Grade) []Strength {
	var earned []CriterionGrade
	for _, c := range g.Criteria {
		if c.Kind != rubric.Pitfall && c.Verdict.Credited() && len(c.Evidence) > 0 {
			earned = append(earned, c)
		}
	}
	slices.SortStableFunc(earned, func(a, b CriterionGrade) int {
		return cmp.Compare(b.Weight*b.Credit, a.Weight*a.Credit)
	})
	out := []Strength{}
	shown := map[string]bool{}
	for _, c := range earned[:min(len(earned), maxStrengths)] {
		text := sentence(c.Statement)
		switch {
		case c.Verdict == judge.Partial:
			text = "In part: " + text
		case c.Kind == rubric.Bonus:
			text = "Beyond what is asked: " + text
		}
		quote := c.Evidence[0].Text
		for _, e := range c.Evidence {
			if !shown[e.Text] { // two strengths with one quote look like one
				quote = e.Text
				break
			}
		}
		shown[quote] = true
		out = append(out, Strength{CriterionID: c.ID, Text: text, Quote: quote})
	}
	return out
}

// improvements are ranked by the points they could win. A bonus criterion is
// never missing; a pitfall that the answer shows is.
func improvements(q *rubric.Question, g *Grade, worth func(points float64) float64) []Improvement {
	type lost struct {
		index  int
		points float64
	}
	var losses []lost
	lose := func(i int, points float64) {
		if worth != nil {
			points = worth(points)
		}
		if points >= leastPoints {
			losses = append(losses, lost{i, points})
		}
	}
	assessed := assessedWeight(g)
	for i, c := range g.Criteria {
		switch {
		case c.Verdict == judge.CannotAssess || c.Kind == rubric.Bonus || assessed == 0:
		case c.Kind == rubric.Pitfall && c.Credit > 0:
			lose(i, -c.Weight*c.Credit)
		case c.Kind == rubric.Core && c.Credit < 1:
			lose(i, c.Weight*(1-c.Credit)*100/assessed)
		}
	}
	slices.SortStableFunc(losses, func(a, b lost) int { return cmp.Compare(b.points, a.points) })

	out := []Improvement{}
	begun := map[string]bool{}
	for rank, l := range losses[:min(len(losses), maxImprovements)] {
		c, source := g.Criteria[l.index], q.Criteria[l.index]
		text := missing(c, source)
		if rank == 0 && q.Intent != "" {
			// Why it counts is one thing for the whole question: said once.
			text += " What they want to learn: " + lowerFirst(sentence(q.Intent))
		}
		out = append(out, Improvement{
			CriterionID: c.ID,
			Text:        text,
			Starter:     starter(q.Kind, source, begun),
			Points:      float64(int(l.points*10+.5)) / 10,
		})
	}
	return out
}

// assessedWeight is the core weight that the score is a share of.
func assessedWeight(g *Grade) float64 {
	var sum float64
	for _, c := range g.Criteria {
		if c.Kind == rubric.Core && c.Verdict != judge.CannotAssess {
			sum += c.Weight
		}
	}
	return sum
}

// missing says what a criterion lacks: what the judge saw, then the author's hint.
func missing(c CriterionGrade, source rubric.Criterion) string {
	var parts []string
	switch {
	case c.Kind == rubric.Pitfall:
		parts = append(parts, "Avoid this: "+sentence(c.Statement))
	case c.Verdict == judge.Contradicted:
		parts = append(parts, "The answer says the opposite of what is looked for: "+sentence(c.Statement))
	case c.Verdict == judge.Partial:
		parts = append(parts, "Partly there.")
	}
	if c.Comment != "" && c.Comment != source.Hint && c.Comment != source.Partial &&
		(c.Verdict != judge.Contradicted || !strings.Contains(c.Comment, "opposite")) {
		parts = append(parts, sentence(c.Comment))
	}
	switch {
	case source.Hint != "":
		parts = append(parts, sentence(source.Hint))
	case c.Verdict == judge.Partial:
		parts = append(parts, "The whole of it: "+sentence(source.Statement))
	case len(parts) == 0:
		parts = append(parts, "Still to cover: "+sentence(source.Statement))
	}
	return strings.Join(parts, " ")
}

// followUp asks for what the weakest criterion still lacks, as an interviewer would.
func followUp(kind rubric.Kind, g *Grade) string {
	var weakest *CriterionGrade
	for i := range g.Criteria {
		c := &g.Criteria[i]
		if c.Kind != rubric.Core {
			continue
		}
		if weakest == nil || c.Credit < weakest.Credit ||
			(c.Credit == weakest.Credit && c.Weight > weakest.Weight) {
			weakest = c
		}
	}
	if weakest == nil {
		return ""
	}
	ask := func(behavioural, other string) string {
		if kind == rubric.Behavioural {
			other = behavioural
		}
		return fmt.Sprintf(other, weakest.topic())
	}
	switch weakest.Verdict {
	case judge.Met:
		return ask("What would you do differently next time about %s, and why?", "What would make you change your mind about %s?")
	case judge.Partial:
		return ask("You touched on %s: what exactly did you do, and how did you know that it worked?",
			"You touched on %s: what exactly would you do, and how would you know that it works?")
	case judge.Contradicted:
		return ask("What made you go the other way on %s?", "What speaks for going the other way on %s?")
	}
	if kind == rubric.Motivational {
		return ask("", "I have not heard about %s yet: what would you say about it?")
	}
	return ask("I have not heard about %s yet: what did you do there?", "I have not heard about %s yet: how would you go about it?")
}

// topic is what a criterion is about in a few words: its id where that is made
// of words ("first-build" is "first build"), else its statement in quotes.
func (c *CriterionGrade) topic() string {
	if words := strings.NewReplacer("-", " ", "_", " ", ".", " ").Replace(c.ID); len(words) > 2 && !strings.ContainsFunc(words, unicode.IsDigit) {
		return strings.ToLower(words)
	}
	return c.quoted()
}

// quoted is the criterion's statement in quotes, cut where it is long.
func (c *CriterionGrade) quoted() string {
	words := strings.Fields(strings.TrimRight(c.Statement, ".!?…"))
	if len(words) > longestTopic {
		return "“" + strings.Join(words[:longestTopic], " ") + " …”"
	}
	return "“" + strings.Join(words, " ") + "”"
}

// longestTopic is where a statement that stands for a topic is cut, in words.
const longestTopic = 12

// topic is that of the criterion with this id.
func (g *Grade) topic(id string) string {
	for i := range g.Criteria {
		if g.Criteria[i].ID == id {
			return g.Criteria[i].topic()
		}
	}
	return id
}

func plural(n int, one, many string) string {
	return fmt.Sprintf("%d %s", n, verb(n, one, many))
}

func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// lowerFirst undoes a sentence's capital, unless it opens an abbreviation.
func lowerFirst(s string) string {
	r := []rune(s)
	if len(r) < 2 || !unicode.IsUpper(r[0]) || unicode.IsUpper(r[1]) {
		return s
	}
	return string(unicode.ToLower(r[0])) + string(r[1:])
}

// sentence gives s a capital and a full stop.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return ""
	}
	r := []rune(s)
	first := strings.ToUpper(string(r[0]))
	s = first + string(r[1:])
	if !strings.ContainsAny(s[len(s)-1:], ".!?…") && !strings.HasSuffix(s, "…") {
		s += "."
	}
	return s
}
