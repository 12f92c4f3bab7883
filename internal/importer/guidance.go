package importer

import (
	"regexp"
	"strings"

	"github.com/gradus-ai/gradus/internal/text"
)

// part is one thing that guidance asks for, before it is put as a claim.
type part struct {
	verb verb
	// name is the guidance's verb; rest is what it is about.
	name, rest string
	examples   []string
	// group numbers the clauses that parts come from.
	group int
}

// reading is what a splitter makes of guidance.
type reading struct {
	intent string
	parts  []part
	// unread are sentences that neither say why nor what.
	unread []string
}

// split takes guidance apart: by sentence, then by the verbs that speak to the
// reader, then by the commas, "and" and "or" under each verb.
func split(guidance string) reading {
	var r reading
	group := 0
	for sentence := range sentences(guidance) {
		if guidanceStart.MatchString(sentence) || r.intent == "" && labelledReason.MatchString(sentence) {
			if in := intentOf(sentence); in != "" {
				if r.intent == "" {
					r.intent = in
				}
				continue
			}
		}
		clauses, ok := clausesOf(sentence)
		if !ok {
			r.unread = append(r.unread, sentence)
			continue
		}
		for _, c := range clauses {
			group++
			for _, p := range partsOf(c) {
				p.group = group
				r.parts = append(r.parts, p)
			}
		}
	}
	return r
}

// sentences yields the sentences of a text.
func sentences(of string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for paragraph := range strings.SplitSeq(of, "\n") {
			doc := text.Parse(paragraph)
			for _, s := range doc.Sentences {
				if !yield(strings.TrimSpace(doc.Slice(s.Start, s.End))) {
					return
				}
			}
		}
	}
}

var (
	// lead is what stands ahead of the verb of an instruction.
	lead = regexp.MustCompile(`(?i)^(?:(?:in|with|through|throughout|within|as part of|for|during) (?:your|a|the|this|an?) (?:\w+ )?(?:answer|response|reply|story|example)s?,?\s+|` +
		`when (?:answering|responding|you answer|you respond|replying)(?: this question| to this(?: question)?)?,?\s+|to (?:answer|respond)(?: to)?(?: this(?: question)?)?(?: well| effectively)?,?\s+|if (?:possible|you can|relevant),?\s+|` +
		`(?:also|then|next|finally|first|second|third|lastly|additionally|instead|ideally|always|please|and|but|or|here|after that|secondly|firstly),?\s+|` +
		`(?:try|aim|remember|be sure|make sure|take care|it(?:['’]s| is) (?:important|helpful|best|a good idea|good|useful|worth)|you(?:['’]ll)? (?:should|can|could|may|might|will|need|want|must|have)(?: (?:want|try|like|need|aim|also))?)(?: also)?(?: to)?\s+|` +
		`(?:use|follow|try|apply) the star (?:method|technique|format|approach|framework|model)?(?:\s*[:,—–]\s*|\s+(?:to|and)\s+)|` +
		`(?:make sure|be sure|ensure) (?:that )?(?:you|your (?:answer|response))\s+|use (?:your|this|the) (?:answer|response|opportunity|question)s? (?:as an? \w+ )?to\s+)`)
	// answerThat speaks of answers instead of to the reader.
	answerThat = regexp.MustCompile(`(?i)^(?:an?|the|your|any)?\s*(?:(?:good|strong|great|best|ideal|excellent|successful|effective|top|better|complete)\s+)*(?:answer|response|candidate|applicant|repl(?:y|ie))s?\s+(?:(?:will|would|should|can|could|might|may|must|usually|often|also|typically|always|to)\s+)*(?:be able to\s+)?(\pL+)(.*)$`)
	lookFor    = regexp.MustCompile(`(?i)^(?:look|listen|watch|they(?:['’]re| are) (?:looking|listening)|(?:employers|interviewers|we)(?:['’]re| are)? (?:look|looking|listen|listening)) (?:out )?for\s+`)
	style      = regexp.MustCompile(`(?i)^(?:(?:use|follow|try|apply) the star\b|(?:keep|make|stay|be|remain) (?:it|your answer|your response|things?|the (?:answer|story|example)|concise|brief|honest|positive|authentic|professional|calm|confident|enthusiastic|truthful|humble|yourself|concrete|focused|clear)\b)`)
	// considering is a suggestion: "consider mentioning".
	considering = regexp.MustCompile(`(?i)^(?:consider|start by|begin by|try)\s+(\pL+ing)\s+(.+)$`)
	// fragment is an item of a list without a verb.
	fragment = regexp.MustCompile(`(?i)^(?:an?|the|your|how|what|when|why|where|who|which|whether)\s.*[^.!?:]$`)
)

// clausesOf takes a sentence apart at the verbs that speak to the reader. It is
// false where there is none.
func clausesOf(sentence string) ([]string, bool) {
	s := strings.TrimSpace(strings.TrimRight(sentence, ".!; "))
	for {
		stripped := lead.ReplaceAllString(s, "")
		if lookFor.MatchString(stripped) {
			stripped = "mention " + lookFor.ReplaceAllString(stripped, "")
		} else if m := answerThat.FindStringSubmatch(stripped); m != nil {
			stripped = base(m[1]) + m[2]
		} else if m := considering.FindStringSubmatch(stripped); m != nil {
			if v, known := ofGerund(m[1]); known {
				stripped = v + " " + m[2]
			}
		}
		if stripped == s || stripped == "" {
			break
		}
		s = stripped
	}
	if style.MatchString(s) {
		return nil, true
	}
	if _, _, _, ok := directive(s); !ok {
		if fragment.MatchString(sentence) {
			return []string{"mention " + s}, true
		}
		first, rest, _ := strings.Cut(s, " ")
		if !baseVerbs[strings.ToLower(first)] || rest == "" {
			return nil, false
		}
	}
	return atVerbs(s), true
}

// base is the base form of a verb in the third person.
func base(v string) string {
	v = strings.ToLower(v)
	if _, ok := verbs[v]; ok {
		return v
	}
	for _, ending := range []struct{ from, to string }{{"ies", "y"}, {"es", ""}, {"es", "e"}, {"s", ""}} {
		if b, found := strings.CutSuffix(v, ending.from); found {
			if _, ok := verbs[b+ending.to]; ok || baseVerbs[b+ending.to] {
				return b + ending.to
			}
		}
	}
	return v
}

var joint = regexp.MustCompile(`(?i)(?:,\s*(?:and|then|but)?\s+|\s+(?:and|then|but)\s+|;\s*)(?:then |also )?`)

// atVerbs cuts a clause where another verb of the table begins a new one: but
// not inside "how you …", where verbs share their subject.
func atVerbs(s string) []string {
	var out []string
	from := 0
	for _, m := range joint.FindAllStringIndex(s, -1) {
		if m[0] < from {
			continue
		}
		v, name, rest, ok := directive(s[m[1]:])
		if !ok || rest == "" || v.form == manner && name != "keep it" {
			continue
		}
		// A verb in its base form does not go on with what "you did": it tells the
		// reader what to do next.
		if before := s[from:m[0]]; shares.MatchString(before) && !sharesPast.MatchString(before) && !strings.Contains(s[m[0]:m[1]], ";") {
			continue
		}
		// "design, test and run": a list of deeds, not of instructions.
		if _, _, _, ours := directive(s[from:m[0]]); ours && (v.form == acts || name == "use" || name == "measure" || name == "note" || name == "detail" || name == "reference" || name == "display") {
			continue
		}
		out = append(out, s[from:m[0]])
		from = m[1]
	}
	return append(out, s[from:])
}

// shares finds the "how you" that what follows still belongs to.
var shares = regexp.MustCompile(`(?i)\b(?:how|what|why|when|where|that|which)\s+(?:you|they|your \w+)(?:['’]\w+)?\s+[^,]*$`)

// sharesPast finds it with a deed done: "how you handled …", "what you did …".
var sharesPast = regexp.MustCompile(`(?i)\b(?:how|what|why|when|where|that|which)\s+(?:you|they)\s+(?:did|\pL{2,}ed)\b[^,]*$`)

var (
	parens   = regexp.MustCompile(`\s*[(\[]([^)\]]{2,200})[)\]]`)
	suchAs   = regexp.MustCompile(`(?i),?\s+(?:such as|like|for example,?|for instance,?|e\.g\.,?|including|i\.e\.,?)\s+(.+)$`)
	focused  = regexp.MustCompile(`(?i)^(.*?\b(?:plan|strategy|approach|roadmap|answer|story|example|framework|list|view|description))\s+(?:focused on|centred on|centered on|that covers|covering|addressing|that addresses)\s+(.+)$`)
	withPart = regexp.MustCompile(`(?i)^(.+?)\s+(?:with|and)\s+(.+)$`)
)

// partsOf takes what a verb is about apart.
func partsOf(clause string) []part {
	v, name, rest, ok := directive(clause)
	if !ok {
		first, _, _ := strings.Cut(clause, " ")
		v, name, rest = verb{claim: upper(third(strings.ToLower(first))), form: acts}, strings.ToLower(first), strings.TrimSpace(clause[len(first):])
	}
	if v.form == manner || strings.TrimSpace(rest) == "" {
		return nil
	}
	if m := youCan.FindStringSubmatch(rest); m != nil {
		rest = "how you " + m[1]
	}
	whole := part{verb: v, name: name, rest: rest}
	switch v.form {
	case avoids, joins, acts:
		// One deed, whatever it is done with.
		if v.form != acts || !splitsObjects(rest) {
			whole.takeExamples()
			return []part{whole}
		}
	}
	switch name {
	case "combine", "pair", "mix", "blend":
		if m := withPart.FindStringSubmatch(rest); m != nil {
			return append(partsOf("describe "+m[1]), partsOf("describe "+m[2])...)
		}
	}
	if m := focused.FindStringSubmatch(rest); m != nil && !strings.Contains(m[1], ",") {
		return append(chunksOf(part{verb: v, name: name, rest: m[1]}), partsOf("address "+m[2])...)
	}
	return chunksOf(whole)
}

// splitsObjects reports an enumeration, or two objects with an article each.
func splitsObjects(rest string) bool {
	return strings.Count(rest, ",") > 1 || twoArticles.MatchString(rest)
}

var twoArticles = regexp.MustCompile(`(?i)^(?:an?|the|your)\s.*\band\s+(?:an?|your|clear|specific)\s`)

func chunksOf(whole part) []part {
	var out []part
	// Examples at the very end belong to the last chunk; those in brackets stay
	// with the chunk they follow.
	tail := ""
	rest := whole.rest
	if m := suchAs.FindStringSubmatchIndex(rest); m != nil && !strings.Contains(rest[:m[0]], "(") {
		tail, rest = rest[m[2]:m[3]], rest[:m[0]]
	}
	chunks := enumerated(rest)
	for i, chunk := range chunks {
		p := whole
		p.rest = chunk
		p.takeExamples()
		if tail != "" && i == len(chunks)-1 {
			p.examples = append(p.examples, items(tail)...)
		}
		if p.rest != "" {
			out = append(out, p)
		}
	}
	return out
}

// takeExamples moves what stands in brackets or behind "such as" out of the
// text.
func (p *part) takeExamples() {
	for _, m := range parens.FindAllStringSubmatch(p.rest, -1) {
		p.examples = append(p.examples, items(m[1])...)
	}
	p.rest = parens.ReplaceAllString(p.rest, "")
	if m := suchAs.FindStringSubmatchIndex(p.rest); m != nil {
		p.examples = append(p.examples, items(p.rest[m[2]:m[3]])...)
		p.rest = p.rest[:m[0]]
	}
	p.rest = strings.TrimSpace(p.rest)
}

var itemCut = regexp.MustCompile(`\s*(?:,\s*(?:and|or)\s+|,\s+|;\s*|\s+(?:and|or)\s+)`)

// items is a plain list taken apart.
func items(list string) []string {
	var out []string
	for _, i := range itemCut.Split(list, -1) {
		if i = strings.Trim(i, " .,;:…"); i != "" && i != "etc" {
			out = append(out, strings.TrimPrefix(strings.TrimPrefix(i, "e.g., "), "e.g. "))
		}
	}
	return out
}
