package web

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/gradus-ai/gradus/internal/api"
)

// verdictWords are what a card says, beside the shape and the colour.
var verdictWords = map[api.Verdict]string{
	api.Met:          "Met",
	api.Partial:      "In part",
	api.Missed:       "Missed",
	api.Contradicted: "Opposite",
	api.CannotAssess: "Not judged",
}

// drawn are the verdicts that have a mark; a pitfall is marked as one whatever
// its verdict.
var drawn = []api.Verdict{api.Met, api.Partial, api.Missed, api.Contradicted, api.CannotAssess, "pitfall"}

var bandWords = map[api.Band]string{
	api.Strong: "Strong", api.Solid: "Solid", api.Developing: "Developing", api.Weak: "Weak",
}

var reasons = map[string]string{
	"cannot_assess":       "At least one criterion could not be judged; it is left out of the score.",
	"low_confidence":      "The judge was unsure about a good part of the criteria.",
	"judges_far_apart":    "The two judges are far apart on this answer.",
	"copied_sample":       "Much of the answer is word for word that of the sample answer.",
	"flagged_evidence":    "Some of the evidence lies in a passage that was flagged.",
	"evidence_not_found":  "The judge quoted words that are not in the answer; they count for nothing.",
	"evidence_unanchored": "The judge quoted words that have nothing to do with the criterion.",
	"second_look_failed":  "A doubtful verdict could not be looked at again.",
	"refused":             "The model would not judge this answer.",
	"reply_unreadable":    "The model's reply could not be read.",
	"reply_truncated":     "The model's reply was cut short.",
}

func reasonWords(reason string) string {
	if words, ok := reasons[reason]; ok {
		return words
	}
	return upper(strings.ReplaceAll(reason, "_", " ")) + "."
}

var flags = map[string]string{
	"instruction_like": "reads like an order to the grader",
	"copied_sample":    "is copied from the sample answer",
	"question_echo":    "repeats the question",
	"guidance_echo":    "repeats the guidance",
	"keyword_stuffing": "lists keywords without saying anything about them",
	"hidden_text":      "holds characters that cannot be seen",
}

func flagWords(flag string) string {
	if words, ok := flags[flag]; ok {
		return words
	}
	return strings.ReplaceAll(flag, "_", " ")
}

// topic is a criterion in a word or two, from its id; ids that are no words
// become numbers.
func topic(id string, n int) string {
	words := strings.NewReplacer("-", " ", "_", " ", ".", " ").Replace(id)
	if len(words) < 3 || strings.ContainsFunc(words, unicode.IsDigit) {
		return "Criterion " + strconv.Itoa(n)
	}
	return upper(words)
}

func upper(s string) string {
	for i, r := range s {
		return s[:i] + string(unicode.ToUpper(r)) + s[i+len(string(r)):]
	}
	return s
}

// number is a figure of at most one decimal.
func number(x float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(x, 'f', 1, 64), ".0")
}

// signed is a figure with its sign, and a minus as wide as the plus.
func signed(x float64) string {
	if x < 0 {
		return "−" + number(-x)
	}
	return "+" + number(x)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// money is US dollars with as many decimals as small sums need.
func money(usd float64) string {
	if usd < 1 {
		return strconv.FormatFloat(usd, 'f', 4, 64)
	}
	return strconv.FormatFloat(usd, 'f', 2, 64)
}
