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
)

// feedback says where the answer stands, what it does well in its own words,
// what to fix first and what to expect next. It is built by rule from the
// rubric and the verdicts, so both judges' feedback reads alike; the only
// words a judge adds are the comments that were found fit to leave.
func feedback(q *rubric.Question, judgeName string, g *Grade) Feedback {
	return Feedback{
		Summary:      summary(judgeName, g),
		Strengths:    strengths(g),
		Improvements: improvements(q, g),
		FollowUp:     followUp(g),
	}
}

// summary speaks of the answer, never of the person, and holds no score.
func summary(judgeName string, g *Grade) string {
	var met, partly, core, unknown int
	for _, c := range g.Criteria {
		if c.Kind != rubric.Core {
			continue
		}
		core++
		switch c.Verdict {
		case judge.Met:
			met++
		case judge.Partial:
			partly++
		case judge.CannotAssess:
			unknown++
		}
	}
	var b strings.Builder
	switch {
	case g.Score == nil:
		b.WriteString("The answer could not be judged; a person should look at it.")
	case met == 0 && partly == 0:
		b.WriteString("The answer does not yet speak to any of the criteria.")
	case met == core:
		b.WriteString("The answer meets every criterion.")
	default:
		fmt.Fprintf(&b, "The answer meets %d of %d criteria", met, core)
		if partly > 0 {
			fmt.Fprintf(&b, " and partly meets %d", partly)
		}
		b.WriteString(".")
	}
	if unknown > 0 && g.Score != nil {
		fmt.Fprintf(&b, " %s could not be judged and %s left out of the score.",
			plural(unknown, "criterion", "criteria"), verb(unknown, "is", "are"))
	}
	for _, c := range g.Criteria {
		if c.Kind == rubric.Pitfall && c.Verdict.Credited() {
			fmt.Fprintf(&b, " It loses points for one thing to avoid: %s.", topic(c.ID))
			break
		}
	}
	if judgeName == Lexical {
		b.WriteString(" This is an estimate made without a model.")
	}
	return b.String()
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
	for _, c := range earned[:min(len(earned), maxStrengths)] {
		text := sentence(c.Statement)
		if c.Verdict == judge.Partial {
			text = "On the way: " + text
		}
		out = append(out, Strength{CriterionID: c.ID, Text: text, Quote: c.Evidence[0].Text})
	}
	return out
}

// improvements are ranked by the points they could win. A bonus criterion is
// never missing; a pitfall that the answer shows is.
func improvements(q *rubric.Question, g *Grade) []Improvement {
	type lost struct {
		index  int
		points float64
	}
	var losses []lost
	assessed := assessedWeight(g)
	for i, c := range g.Criteria {
		switch {
		case c.Verdict == judge.CannotAssess || c.Kind == rubric.Bonus || assessed == 0:
		case c.Kind == rubric.Pitfall && c.Credit > 0:
			losses = append(losses, lost{i, -c.Weight * c.Credit})
		case c.Kind == rubric.Core && c.Credit < 1:
			losses = append(losses, lost{i, c.Weight * (1 - c.Credit) * 100 / assessed})
		}
	}
	slices.SortStableFunc(losses, func(a, b lost) int { return cmp.Compare(b.points, a.points) })

	out := []Improvement{}
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
			Starter:     starter(q.Kind, source),
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
	}
	if c.Comment != "" && c.Comment != source.Hint && c.Comment != source.Partial {
		parts = append(parts, sentence(c.Comment))
	}
	switch {
	case source.Hint != "":
		parts = append(parts, sentence(source.Hint))
	case len(parts) == 0:
		parts = append(parts, "Still to cover: "+sentence(source.Statement))
	}
	return strings.Join(parts, " ")
}

// starter begins a sentence for the candidate to finish. It holds placeholders
// in place of facts: only the candidate has those.
func starter(kind rubric.Kind, c rubric.Criterion) string {
	switch {
	case c.Kind == rubric.Pitfall:
		return "Put differently: [what you did or would do about it yourself] …"
	case c.Signal == rubric.Quantified:
		return "That moved [your metric: minutes to recover, for example] from [before] to [after] within [how long]."
	case c.Signal == rubric.OwnActions:
		return "I myself [what you did first], then I [what you did next], so that [what changed]."
	case c.Signal == rubric.PastEvent:
		return "At [where you worked], when [what happened], [who] was affected and I had to [your task]."
	case c.Signal == rubric.Prioritised:
		return "First I would [first step], because [why it comes first]; after that [second step], and only then [third step]."
	case kind == rubric.Behavioural:
		return fmt.Sprintf("As for %s, I [what you did] with [whom or which tool], and the result was [what changed].", topic(c.ID))
	case kind == rubric.Motivational:
		return fmt.Sprintf("As for %s, what draws me is [something specific here], because I have [your own experience].", topic(c.ID))
	default:
		return fmt.Sprintf("For %s, I would [your approach] using [tool or practice], because [your reason].", topic(c.ID))
	}
}

// followUp asks for what the weakest criterion still lacks, as an interviewer would.
func followUp(g *Grade) string {
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
	switch {
	case weakest == nil:
		return ""
	case weakest.Verdict == judge.Met:
		return fmt.Sprintf("What would you do differently next time about %s, and why?", topic(weakest.ID))
	case weakest.Verdict == judge.Partial:
		return fmt.Sprintf("You touched on %s: what exactly did or would you do, and how would you know it worked?", topic(weakest.ID))
	default:
		return fmt.Sprintf("Let us talk about %s: how would you go about it?", topic(weakest.ID))
	}
}

// topic is a criterion's id as words: "first-build" is "first build".
func topic(id string) string {
	return strings.ToLower(strings.NewReplacer("-", " ", "_", " ", ".", " ").Replace(id))
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
