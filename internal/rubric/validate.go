package rubric

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits on texts, in code points, and on counts. They hold for files and for
// inline questions alike, and are there to bound work, not style: the longest
// question of the public data sets we grade has under 1,300 code points.
const (
	MaxID           = 64
	MaxTitle        = 200
	MaxQuestion     = 8_000
	MaxIntent       = 2_000
	MaxGuidance     = 20_000
	MaxSampleAnswer = 20_000
	MaxStatement    = 2_000
	MaxPartial      = 2_000
	MaxHint         = 2_000
	MaxPhrase       = 300
	MaxPhrases      = 100
	MaxCriteria     = 50
)

// CoreTotal is what the core weights of a loaded question add up to, within
// WeightTolerance.
const (
	CoreTotal       = 100
	WeightTolerance = 0.01
)

var (
	fileID   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
	inlineID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)
)

// checkSet notes everything that keeps a set from being graded by, and fills
// in the defaults.
func checkSet(s *Set, c *collector) {
	if c.has("") {
		return // not even a mapping
	}
	switch {
	case c.has("/version"):
	case c.missing("/version"):
		c.add("/version", "version is missing; write `version: %d`", Version)
	case s.Version != Version:
		c.add("/version", "version %d is not known; this program reads version %d", s.Version, Version)
	}
	checkID(c, fileID, "", s.ID, "lower-case letters, digits and hyphens")
	if s.ID == InlineSet {
		c.add("/id", "the id %s is kept for questions that come with a request", InlineSet)
	}
	checkText(c, "/title", s.Title, MaxTitle)
	if len(s.Questions) == 0 && !c.has("/questions") {
		c.add("/questions", "a set needs at least one question under `questions`")
	}
	seen := make(map[string]int)
	for i, q := range s.Questions {
		at := "/questions/" + strconv.Itoa(i)
		if c.has(at) {
			continue // not even a mapping
		}
		checkID(c, fileID, at, q.ID, "lower-case letters, digits and hyphens")
		if first, again := seen[q.ID]; again && q.ID != "" {
			c.add(at+"/id", "two questions are called %s; the other is question %d of the set", q.ID, first+1)
		} else {
			seen[q.ID] = i
		}
		checkQuestion(q, c, at, fileID)
		checkFileWeights(q, c, at)
	}
}

// checkQuestion notes what is wrong with a question apart from its own id and
// its weights, and fills in kinds that are not given.
func checkQuestion(q *Question, c *collector, at string, id *regexp.Regexp) {
	if q.Kind == "" {
		q.Kind = Technical
	}
	checkMenu(c, at+"/kind", q.Kind, Kinds)
	if strings.TrimSpace(q.Text) == "" && !c.has(at+"/question") {
		c.add(at+"/question", "a question needs its text under `question`")
	}
	checkText(c, at+"/question", q.Text, MaxQuestion)
	checkText(c, at+"/intent", q.Intent, MaxIntent)
	checkText(c, at+"/guidance", q.Guidance, MaxGuidance)
	checkText(c, at+"/sample_answer", q.SampleAnswer, MaxSampleAnswer)

	if len(q.Criteria) > MaxCriteria {
		c.add(at+"/criteria", "%d criteria; at most %d can be graded", len(q.Criteria), MaxCriteria)
		return
	}
	core := 0
	seen := make(map[string]int)
	for i := range q.Criteria {
		cr, at := &q.Criteria[i], at+"/criteria/"+strconv.Itoa(i)
		if cr.Kind == "" {
			cr.Kind = Core
		}
		if cr.Kind != Bonus && cr.Kind != Pitfall {
			core++ // a misspelt kind is most likely core: one message is enough
		}
		if c.has(at) {
			continue
		}
		letters := "lower-case letters, digits and hyphens"
		if id == inlineID {
			letters = "letters, digits, dots, hyphens and underscores"
		}
		checkID(c, id, at, cr.ID, letters)
		if first, again := seen[cr.ID]; again && cr.ID != "" {
			c.add(at+"/id", "two criteria are called %s; the other is criterion %d of the question", quoted(cr.ID), first+1)
		} else {
			seen[cr.ID] = i
		}
		checkCriterion(cr, c, at)
	}
	if core == 0 && !c.has(at+"/criteria") {
		c.add(at+"/criteria", "a question needs at least one core criterion")
	}
}

func checkCriterion(cr *Criterion, c *collector, at string) {
	checkMenu(c, at+"/kind", cr.Kind, CriterionKinds)
	if cr.Signal != "" {
		checkMenu(c, at+"/signal", cr.Signal, Signals)
	}
	if strings.TrimSpace(cr.Statement) == "" && !c.has(at+"/statement") {
		c.add(at+"/statement", "a criterion needs a statement")
	}
	checkText(c, at+"/statement", cr.Statement, MaxStatement)
	checkText(c, at+"/partial", cr.Partial, MaxPartial)
	checkText(c, at+"/hint", cr.Hint, MaxHint)
	if len(cr.Phrases) > MaxPhrases {
		c.add(at+"/phrases", "%d phrases; at most %d are used", len(cr.Phrases), MaxPhrases)
		return
	}
	for i, p := range cr.Phrases {
		at := at + "/phrases/" + strconv.Itoa(i)
		if strings.TrimSpace(p) == "" && !c.has(at) {
			c.add(at, "an empty phrase")
		}
		checkText(c, at, p, MaxPhrase)
	}
}

// checkFileWeights holds the weights of a set file to points of 100.
func checkFileWeights(q *Question, c *collector, at string) {
	sum, sound, core := 0.0, true, 0
	for i := range q.Criteria {
		cr, at := &q.Criteria[i], at+"/criteria/"+strconv.Itoa(i)
		if c.has(at) || c.has(at+"/weight") || c.has(at+"/kind") {
			sound = false
			continue
		}
		reason := ""
		switch {
		case c.missing(at + "/weight"):
			reason = "weight is missing"
		case cr.Kind == Pitfall && (cr.Weight >= 0 || cr.Weight < -100):
			reason = "a pitfall costs points: its weight is below 0, at least -100"
		case cr.Kind != Pitfall && (cr.Weight <= 0 || cr.Weight > 100):
			reason = "the weight of a " + string(cr.Kind) + " criterion is above 0, at most 100"
		}
		if reason != "" {
			sound = false
			c.add(at+"/weight", "%s", reason)
		}
		if cr.Kind == Core {
			core++
			sum += cr.Weight
		}
	}
	if sound && core > 0 && math.Abs(sum-CoreTotal) > WeightTolerance && !c.has(at+"/criteria") {
		c.add(at+"/criteria", "the core weights add up to %s, not %d",
			strconv.FormatFloat(math.Round(sum*1000)/1000, 'f', -1, 64), CoreTotal)
	}
}

// checkID notes a missing, malformed or overlong id of what stands at at.
func checkID(c *collector, pattern *regexp.Regexp, at, id, letters string) {
	switch {
	case c.has(at + "/id"):
	case id == "":
		c.add(at+"/id", "id is missing or empty")
	case !pattern.MatchString(id):
		c.add(at+"/id", "the id %s may only hold %s, and starts with a letter or digit", quoted(id), letters)
	case len(id) > MaxID:
		c.add(at+"/id", "an id has at most %d characters", MaxID)
	}
}

// checkMenu notes a value that is not on its menu.
func checkMenu[T ~string](c *collector, at string, value T, menu []T) {
	if slices.Contains(menu, value) || c.has(at) {
		return
	}
	names := make([]string, len(menu))
	for i, m := range menu {
		names[i] = string(m)
	}
	c.add(at, "%s is not a %s; choose %s%s", quoted(string(value)), fieldName(at),
		strings.Join(names, ", "), didYouMean(string(value), names))
}

// checkText notes a text that is too long or not text at all.
func checkText(c *collector, at, text string, most int) {
	switch {
	case !utf8.ValidString(text):
		c.add(at, "%s is not valid UTF-8", fieldName(at))
	case strings.ContainsFunc(text, isControl):
		c.add(at, "%s contains a control character", fieldName(at))
	case len(text) > most && utf8.RuneCountInString(text) > most:
		c.add(at, "%s is longer than %d characters", fieldName(at), most)
	}
}
