package importer

import (
	"regexp"
	"strings"
)

// reason finds what a sentence says an interviewer wants to learn.
var reason = regexp.MustCompile(`(?i)^(?:.*?\b(?:asks?|asked|asking|use|uses|pose|poses|want|wants|like|hope|looking|helps?|lets?|allows?|gives?|designed|aims?|is)\b.*?)\b(?:to|them|you|if|whether|us|employers|interviewers|recruiters|managers)\s+` +
	`(?:(?:help (?:them |us )?)?(?:find out|learn more about|learn about|get (?:a )?(?:sense|feel|idea|picture) (?:of|for)|get to know|gain insight into|gain an understanding of|make sure|be sure|look for|look at|hear about|hear|know more about|know|see|tell|check|check that|learn|evaluate|assess|gauge|understand|verify|confirm|ensure|determine|test|measure|judge|discover|explore|probe|identify|establish|decide|evidence|validate|examine|reveal|measure))\s+(.+)$`)

var (
	labelledReason = regexp.MustCompile(`(?i)^(?:to )?(?:find out|learn about|get (?:a )?(?:sense|feel|idea) (?:of|for)|make sure|see|check|learn|evaluate|assess|gauge|understand|verify|confirm|ensure|determine|test|measure|judge|discover|explore|probe)\s+(.+)$`)
	whetherYou     = regexp.MustCompile(`(?i)^(?:if |whether |that )?(?:you|the candidate|candidates|applicants)(['’](?:re|ve|d|ll))?\s+(.+)$`)
)

// intent is what the interviewer wants to learn, as the shipped sets put it:
// "Whether you …", "How you …", or the quality itself; empty where a sentence
// does not say.
func intentOf(sentence string) string {
	m := reason.FindStringSubmatch(sentence)
	if m == nil {
		m = labelledReason.FindStringSubmatch(sentence)
	}
	if m == nil {
		return ""
	}
	what := strings.TrimSpace(strings.TrimRight(m[1], ". "))
	if w := whetherYou.FindStringSubmatch(what); w != nil {
		return "Whether you" + w[1] + " " + w[2] + "."
	}
	return upper(what) + "."
}
