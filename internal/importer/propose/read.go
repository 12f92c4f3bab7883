package propose

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/gradus-ai/gradus/internal/importer"
	"github.com/gradus-ai/gradus/internal/prompt"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// What a proposal is held to. Longer texts are not criteria any more.
const (
	longestStatement = 300
	longestText      = 500
	longestPhrase    = 120
	fewestPhrases    = 3
	mostPhrases      = 12
	fewestCore       = 4
)

// wire is a proposal as it is written.
type wire struct {
	Criteria []struct {
		Statement string   `json:"statement"`
		Kind      string   `json:"kind"`
		Weight    float64  `json:"weight"`
		Partial   string   `json:"partial"`
		Hint      string   `json:"hint"`
		Signal    string   `json:"signal"`
		Phrases   []string `json:"phrases"`
	} `json:"criteria"`
}

// read turns a reply into criteria, or says what is wrong with it in words that
// can be shown to the model: nothing of the page is in them. Thinking and a
// code fence around the object are let pass; nothing within it is.
func read(text string, p importer.Proposal) ([]rubric.Criterion, error) {
	if at := strings.LastIndex(text, "</think>"); at >= 0 {
		text = text[at:]
	}
	from, to := strings.IndexByte(text, '{'), strings.LastIndexByte(text, '}')
	if from < 0 || to < from {
		return nil, errors.New("there is no JSON object in it")
	}
	var w wire
	if err := json.Unmarshal([]byte(text[from:to+1]), &w, json.RejectUnknownMembers(true)); err != nil {
		return nil, errors.New("it is not JSON of the form asked for")
	}
	if n := len(w.Criteria); n < prompt.FewestDrafted || n > prompt.MostDrafted {
		return nil, fmt.Errorf("it has %d criteria, not %d to %d", n, prompt.FewestDrafted, prompt.MostDrafted)
	}
	out := make([]rubric.Criterion, len(w.Criteria))
	said := make(map[string]bool)
	core := 0
	for i, c := range w.Criteria {
		criterion := rubric.Criterion{
			Statement: tidy(c.Statement), Kind: rubric.CriterionKind(c.Kind), Weight: c.Weight, Partial: tidy(c.Partial), Hint: tidy(c.Hint),
		}
		if c.Signal != "none" {
			criterion.Signal = rubric.Signal(c.Signal)
		}
		for _, phrase := range c.Phrases {
			if phrase = tidy(phrase); phrase != "" && !slices.Contains(criterion.Phrases, phrase) {
				criterion.Phrases = append(criterion.Phrases, phrase)
			}
		}
		if fault := check(criterion, said); fault != "" {
			return nil, fmt.Errorf("criterion %d: %s", i+1, fault)
		}
		if criterion.Kind == rubric.Core {
			core++
		}
		if criterion.Kind == rubric.Pitfall {
			criterion.Weight = -criterion.Weight
		}
		if criterion.Signal != "" && criterion.Signal != rubric.Prioritised && p.Kind == rubric.Technical {
			criterion.Signal = "" // a form that only a story has
		}
		criterion.ID = "c" + strconv.Itoa(i+1)
		out[i] = criterion
	}
	if core < fewestCore {
		return nil, fmt.Errorf("only %d of its criteria are core; at least %d have to be", core, fewestCore)
	}
	if _, err := rubric.Inline(rubric.Question{Text: p.Question, Kind: p.Kind, Criteria: out}); err != nil {
		return nil, errors.New("it has texts that no criterion may have, such as control characters")
	}
	return out, nil
}

// check says what is wrong with the form of one criterion.
func check(c rubric.Criterion, said map[string]bool) string {
	key := strings.ToLower(c.Statement)
	switch {
	case !written(c.Statement):
		return "the statement is missing"
	case said[key]:
		return "the statement stands in it twice"
	case !slices.Contains(rubric.CriterionKinds, c.Kind):
		return "the kind is not core, bonus or pitfall"
	case c.Signal != "" && !slices.Contains(rubric.Signals, c.Signal):
		return "the signal is not on the menu"
	case c.Weight < 1 || c.Weight > 25:
		return "the weight is not from 1 to 25"
	case !written(c.Partial) && c.Kind != rubric.Pitfall:
		return "nothing says what earns half"
	case !written(c.Hint):
		return "the hint is missing"
	case long(c.Statement, longestStatement), long(c.Partial, longestText), long(c.Hint, longestText):
		return "a text in it is too long"
	case len(c.Phrases) < fewestPhrases && c.Signal == "":
		return fmt.Sprintf("it has %d phrases, not %d or more", len(c.Phrases), fewestPhrases)
	case len(c.Phrases) > mostPhrases:
		return fmt.Sprintf("it has %d phrases; %d are enough", len(c.Phrases), mostPhrases)
	case slices.ContainsFunc(c.Phrases, func(p string) bool { return !written(p) || long(p, longestPhrase) }):
		return "a phrase in it is missing or too long"
	}
	said[key] = true
	return ""
}

// written reports whether a text is more than the ellipsis of the form.
func written(s string) bool { return strings.Trim(s, ".… ") != "" }

func long(s string, most int) bool { return utf8.RuneCountInString(s) > most }

// tidy is a text on one line.
func tidy(s string) string { return strings.Join(strings.Fields(s), " ") }
