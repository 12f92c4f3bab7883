package importer

import (
	"regexp"
	"strings"
)

// swap is a change of words from one voice to another.
type swap struct {
	from *regexp.Regexp
	to   string
}

func swaps(pairs ...string) []swap {
	out := make([]swap, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, swap{regexp.MustCompile(`(?i)` + pairs[i]), pairs[i+1]})
	}
	return out
}

// A page speaks to the candidate ("how you'd measure it") for the employer
// ("our team"); a statement speaks of the candidate to a judge.
var aboutThem = swaps(
	`\btheir (compan\w+|products?|teams?|stage|mission|business|domain|industry|users?|customers?|values?|culture|organi[sz]ation|role|needs?|goals?|school|hospital|clinic|clients?|patients?|students?|brand|work|ward|office|store|department|firm|agency|staff)\b`, "the company's $1",
	`\byou['’]re\b`, "they are",
	`\byou['’]ve\b`, "they have",
	`\byou['’]d\b`, "they would",
	`\byou['’]ll\b`, "they will",
	`\bare you\b`, "they are",
	`\byourself\b`, "themselves",
	`\byours\b`, "theirs",
	`\byour\b`, "their",
	`\b(to|for|with|from|about|at|by|around|lets?|helps?|helped|makes?|made|gives?|gave|asks?|asked|tells?|told|drives?|excites?|motivates?|interests?|attracts?) you\b`, "$1 them",
	`\byou\b`, "they",
	`\bour\b`, "the company's",
	`\b(for|with|to|at|join(?:ing)?|of) us\b`, "$1 the company",
	`\b(?:if )?we['’]d\b`, "the company would",
	`\bwe\b`, "the company",
	`\bthe company needed\b`, "the company needed",
	`\bmy\b`, "their",
)

// Phrases are in the words of an answer: "how you'd measure impact" is
// "measure impact", "your sources" is "my sources".
var inTheirWords = swaps(
	`^(?:that |how |why |when |where |what |which |whether )+`, "",
	`\byou(?:['’]d|['’]ll| would| will| can| could)\b`, "I would",
	`\byou['’]ve\b`, "I have",
	`\b(?:you['’]re|you are)\b`, "I am",
	`\byourself\b`, "myself",
	`\byour\b`, "my",
	`\byou\b`, "I",
	`\btheir\b`, "your",
	`^I would `, "",
)

func voiced(s string, by []swap) string {
	for _, w := range by {
		s = w.from.ReplaceAllString(s, w.to)
	}
	return strings.Join(strings.Fields(s), " ")
}

// they is s in the voice of a statement.
func they(s string) string { return voiced(s, aboutThem) }

// first is s in the voice of an answer.
func first(s string) string { return voiced(s, inTheirWords) }

// praise are adjectives by which guidance asks for more of what it asks for.
// Nobody can check them, so that a claim goes without.
var praise = regexp.MustCompile(`(?i)^(?:(?:and|or|the following|some|any|both|all|only|your own|your|a few|several|one or two|at least (?:one|two|three))\s+)*` +
	`((?:a|an|the)\s+)?(?:(?:very|really|truly|highly|genuinely)\s+)?(?:(?:clear|concise|brief|short|strong|good|great|solid|thoughtful|compelling|detailed|comprehensive|thorough|excellent|effective|relevant|` +
	`genuine|sincere|honest|convincing|well-structured|logical|real|positive|deep|impressive|concrete|specific)(?:,? and |,\s+|\s+))*`)

// bare is a chunk without praise and without a determiner that speaks to the
// reader; the article that praise stood behind stays.
func bare(chunk string) string {
	chunk = strings.TrimSpace(strings.Trim(strings.TrimSpace(chunk), ",;:.—–"))
	m := praise.FindStringSubmatchIndex(chunk)
	if m == nil || m[1] == 0 || m[1] >= len(chunk) {
		return chunk
	}
	rest := chunk[m[1]:]
	if m[2] >= 0 {
		article := strings.ToLower(strings.TrimSpace(chunk[m[2]:m[3]]))
		if article == "a" || article == "an" {
			article = "a"
			if strings.ContainsAny(rest[:1], "aeioAEIO") {
				article = "an"
			}
		}
		rest = article + " " + rest
	}
	return rest
}
