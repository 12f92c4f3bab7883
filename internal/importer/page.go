package importer

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gradus-ai/gradus/internal/rubric"
)

// Read takes a page apart. The error is Faults: the page is not text, is too
// large, holds no questions, or a part of it is where nothing goes.
//
// In text, an entry is a question followed by guidance, a sample answer or
// both. Guidance is known by its opening ("Employers ask this to see if …",
// "Why they ask:"), a sample answer by its label ("Answer Example:", "Sample
// answer:", "Example:"); a question is the paragraph ahead of either, or
// one that the page sets apart. What belongs to none of them is left out.
func Read(name string, data []byte, format Format) (*Page, error) {
	decoded, err := decode(name, data)
	if err != nil {
		return nil, err
	}
	var page *Page
	var faults Faults
	if format == CSV {
		page, faults = readTable(name, decoded)
	} else {
		page, faults = readText(name, decoded)
	}
	if len(faults) == 0 {
		faults = page.check(name)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return page, nil
}

// check holds a page to its limits.
func (p *Page) check(name string) Faults {
	var faults Faults
	if len(p.Entries) > MaxQuestions {
		return Faults{{name, p.Entries[MaxQuestions].Line, "more than 200 questions; cut the page in two"}}
	}
	bare := 0
	for _, e := range p.Entries {
		for _, t := range []struct {
			what, text string
			most       int
		}{
			{"question", e.Question, rubric.MaxQuestion},
			{"guidance", e.Guidance, rubric.MaxGuidance},
			{"sample answer", e.SampleAnswer, rubric.MaxSampleAnswer},
			{"intent", e.Intent, rubric.MaxIntent},
		} {
			if utf8.RuneCountInString(t.text) > t.most {
				faults = append(faults, &Fault{name, e.Line, "the " + t.what + " is too long to be one: is a heading or label missing in it?"})
			}
		}
		if e.Guidance == "" {
			bare++
		}
	}
	if len(faults) == 0 && bare == len(p.Entries) && bare > 0 {
		return Faults{{name, p.Entries[0].Line, "the question has no guidance, nor has any other: criteria are made of what guidance asks for; write a line of it below the question (\"Describe …\")"}}
	}
	return faults
}

var (
	// The openings of guidance: a label, or a sentence that says why it is asked.
	guidanceLabel = regexp.MustCompile(`(?i)^(?:guidance|tips?|advice|purpose|explanation|how to (?:answer|approach|respond to)(?: (?:this|it|the question))?|` +
		`why (?:they|we|employers|interviewers|recruiters|hiring managers|an? \w+)(?: might| may)? ask(?: (?:this|it))?(?: question)?|why (?:this|it) is asked|why this question(?: matters)?|` +
		`what (?:they|we|employers|interviewers|recruiters)(?:['’]re| are)? (?:really )?(?:look(?:ing)?|listen(?:ing)?) for|what to (?:say|cover|include)|what this (?:question )?(?:tests|assesses))\s*(?:[:?–—]\s*|-\s+|$)`)
	asker         = `(?:(?:most |many |some |potential |prospective )?(?:employers|interviewers|recruiters|companies|organi[sz]ations|managers|panels)|hiring (?:managers|teams|panels)|(?:an? |the |your )(?:potential |prospective )?(?:employer|interviewer|recruiter|hiring manager|panel|company)|we|they)`
	guidanceStart = regexp.MustCompile(`(?i)^(?:with this question,? )?(?:` + asker + `(?: (?:often|usually|may|might|will|commonly|typically|frequently|also|sometimes))* (?:ask|asks|use|uses|pose|poses|want|wants|are looking|is looking|like to|hope)\b|` +
		`(?:this|the) (?:question|prompt|one|interview question) (?:is|helps|lets|allows|gives|tests|assesses|evaluates|gauges|shows|reveals|aims|probes|checks|can)\b|asking this\b|by asking this\b|the (?:purpose|goal|aim) of this question\b)`)
	sampleLabel = regexp.MustCompile(`(?i)^(?:(?:an? )?(?:answer|response) (?:example|sample)|(?:an? )?(?:example|sample|model|suggested|good|strong|possible) (?:answer|response|reply)|example of an? (?:good |strong )?(?:answer|response)|` +
		`(?:here is|here['’]s) (?:an? )?(?:example|sample)(?: answer| response)?|for example,? you (?:could|might|can) say|you (?:could|might) say|example|sample|answer|a)(?:\s*#?\d{1,2})?\s*(?:[:–—]\s*|-\s+|$)`)
	questionOpening = regexp.MustCompile(`(?i)^(?:how|what|why|when|where|which|who|whose|tell (?:me|us)|describe|walk (?:me|us)|give (?:me|us|an)|explain|talk (?:me|us|about)|have you|can you|could you|do you|did you|are you|would you|will you|if |imagine|suppose|share|discuss|design|think of|in your|at )\b`)
	// titleTail is what a page's title says beyond the job.
	titleTail = regexp.MustCompile(`(?i)\s*[-–—|:]?\s*(?:(?:top|common|best|most common)\s+)?(?:\d+\s+)?(?:interview\s+)?questions(?:\s+(?:and|&|with)\s+(?:sample\s+|example\s+)?answers)?\s*$`)
)

// opens reports a line with which guidance or a sample answer begins.
func opens(s string) bool { return beginsGuidance(s) || beginsSample(s) }

func beginsGuidance(s string) bool {
	return guidanceLabel.MatchString(s) || guidanceStart.MatchString(s)
}

func beginsSample(s string) bool { return sampleLabel.MatchString(s) }

// mayAsk reports a line that reads as a question.
func (l *line) mayAsk() bool {
	return !l.item && (strings.HasSuffix(strings.TrimRight(l.text, `"”’' `), "?") || l.heading && questionOpening.MatchString(l.text))
}

// reader goes over the lines of a page once.
type reader struct {
	name   string
	page   *Page
	faults Faults
	lines  []line
	// loose are the lines since the last entry that belong to none yet.
	loose []line
}

func readText(name, decoded string) (*Page, Faults) {
	lines := linesOf(decoded)
	if len(lines) == 0 {
		return nil, Faults{{Path: name, Reason: "the page is empty"}}
	}
	r := &reader{name: name, page: &Page{}, lines: lines}
	r.read()
	if len(r.faults) > 0 {
		return nil, r.faults
	}
	if len(r.page.Entries) == 0 {
		r.readHeadings()
	}
	if len(r.page.Entries) == 0 {
		return nil, Faults{{name, lines[0].number, "no questions found: each one is a line with guidance below it (\"Employers ask this to …\") and a sample answer (\"Answer Example: …\")"}}
	}
	if first := lines[0]; first.number < r.page.Entries[0].Line && !first.mayAsk() && utf8.RuneCountInString(first.text) <= 100 {
		r.page.Title = strings.TrimSpace(titleTail.ReplaceAllString(first.text, ""))
	}
	r.skips()
	return r.page, nil
}

// read finds entries by the guidance and the sample answers in them.
func (r *reader) read() {
	for i := 0; i < len(r.lines); {
		l := r.lines[i]
		switch {
		case beginsGuidance(l.text) && r.asked() != nil:
			q := r.take(r.asked())
			i = r.guidance(&q, i)
			r.page.Entries = append(r.page.Entries, q)
		case beginsSample(l.text) && !l.mayAsk():
			if r.asked() == nil {
				r.faults = append(r.faults, &Fault{r.name, l.number, "a sample answer with no question ahead of it"})
				i++
				continue
			}
			q := r.unlabelled()
			i = r.sample(&q, i)
			r.page.Entries = append(r.page.Entries, q)
		default:
			r.loose = append(r.loose, l)
			i++
		}
	}
}

// asked is the loose line that is the question of what comes next.
func (r *reader) asked() *line {
	if len(r.loose) == 0 {
		return nil
	}
	return &r.loose[len(r.loose)-1]
}

func (r *reader) take(l *line) Entry {
	r.page.Skipped = append(r.page.Skipped, skippable(r.loose[:len(r.loose)-1])...)
	r.loose = nil
	return Entry{Line: l.number, Question: unquoted(l.text)}
}

// unlabelled is an entry whose question is followed by a sample answer, or by
// paragraphs that do not say what they are and then a sample answer.
func (r *reader) unlabelled() Entry {
	at := len(r.loose) - 1
	for i := at; i >= 0; i-- {
		if r.loose[i].mayAsk() || r.loose[i].heading {
			at = i
			break
		}
	}
	rest := r.loose[at+1:]
	r.loose = r.loose[:at+1]
	q := r.take(&r.loose[at])
	q.Guidance = prose(rest)
	return q
}

// guidance reads the guidance that begins at line i, and the sample answer
// after it, and returns the line after them.
func (r *reader) guidance(q *Entry, i int) int {
	end := i + 1
	for end < len(r.lines) && !beginsSample(r.lines[end].text) && !r.asks(end) {
		end++
	}
	first := r.lines[i]
	first.text = guidanceLabel.ReplaceAllString(first.text, "")
	guidance := []line{first}
	for _, l := range r.lines[i+1 : end] { // it may have labelled parts
		l.text = guidanceLabel.ReplaceAllString(l.text, "")
		guidance = append(guidance, l)
	}
	q.Guidance = prose(guidance)
	if end < len(r.lines) && beginsSample(r.lines[end].text) && !r.lines[end].mayAsk() {
		return r.sample(q, end)
	}
	return end
}

// asks reports whether line i is a question with an entry of its own below it.
func (r *reader) asks(i int) bool {
	if beginsGuidance(r.lines[i].text) {
		return false
	}
	if i+1 < len(r.lines) && beginsGuidance(r.lines[i+1].text) && (guidanceStart.MatchString(r.lines[i+1].text) || r.lines[i].mayAsk() || r.lines[i].heading) {
		return true
	}
	return r.lines[i].mayAsk() && (r.lines[i].heading || questionOpening.MatchString(r.lines[i].text))
}

const openingQuotes, closingQuotes = `"“„«‘'`, `"”“»’'`

// sample reads the sample answer that begins at line i and returns the line
// after it. A quotation ends where its quote is closed; what follows it up to
// the next question is the page's, not the answer's.
func (r *reader) sample(q *Entry, i int) int {
	var paragraphs []string
	first := strings.TrimSpace(sampleLabel.ReplaceAllString(r.lines[i].text, ""))
	if first != "" {
		paragraphs = append(paragraphs, first)
	}
	end := i + 1
	quoted := func() bool {
		return len(paragraphs) > 0 && strings.ContainsAny(paragraphs[0][:1], `"`) || len(paragraphs) > 0 && opensQuote(paragraphs[0])
	}
	closed := func() bool { return quoted() && closesQuote(paragraphs[len(paragraphs)-1]) }
	for end < len(r.lines) && !beginsSample(r.lines[end].text) && !beginsGuidance(r.lines[end].text) && !r.asks(end) {
		l := r.lines[end]
		if closed() && !opensQuote(l.text) {
			break
		}
		if !quoted() && len(paragraphs) > 0 && l.heading {
			break
		}
		paragraphs = append(paragraphs, l.text)
		end++
	}
	if quoted() {
		paragraphs = unquote(paragraphs)
	}
	q.SampleAnswer = strings.Join(slices.DeleteFunc(paragraphs, func(p string) bool { return strings.TrimSpace(p) == "" }), "\n")
	return end
}

func opensQuote(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return s != "" && strings.ContainsRune(openingQuotes, r)
}

func closesQuote(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(strings.TrimRight(s, " .,"))
	return s != "" && strings.ContainsRune(closingQuotes, r)
}

// unquote takes off the quotes around an answer: one ahead of each paragraph,
// as is the custom, and one at the very end with whatever follows it.
func unquote(paragraphs []string) []string {
	for i, p := range paragraphs {
		if opensQuote(p) {
			_, size := utf8.DecodeRuneInString(p)
			paragraphs[i] = p[size:]
		}
		if last := strings.LastIndexAny(paragraphs[i], "\"”»"); last >= 0 && last >= len(paragraphs[i])*3/5 &&
			!strings.ContainsAny(paragraphs[i][:last], "\"“«") {
			paragraphs[i] = paragraphs[i][:last]
		} else if strings.HasSuffix(paragraphs[i], "'") || strings.HasSuffix(paragraphs[i], "’") || strings.HasSuffix(paragraphs[i], `"`) || strings.HasSuffix(paragraphs[i], "”") {
			_, size := utf8.DecodeLastRuneInString(paragraphs[i])
			paragraphs[i] = paragraphs[i][:len(paragraphs[i])-size]
		}
		paragraphs[i] = strings.TrimSpace(paragraphs[i])
	}
	return paragraphs
}

// unquoted is a line without quotes around all of it.
func unquoted(s string) string {
	if opensQuote(s) && closesQuote(s) {
		s = strings.Trim(s, "\"“”„«»'‘’")
	}
	return strings.TrimSpace(strings.TrimSuffix(s, ":"))
}

// readHeadings finds entries on a page without any labels: questions that are
// set apart, and the paragraphs below each.
func (r *reader) readHeadings() {
	lines := r.loose
	r.loose, r.page.Skipped = nil, nil
	if nothingButQuestions(lines) {
		for i, l := range lines {
			if i > 0 || l.mayAsk() {
				r.page.Entries = append(r.page.Entries, Entry{Line: l.number, Question: unquoted(l.text)})
			}
		}
		return
	}
	for i := 0; i < len(lines); i++ {
		if !lines[i].mayAsk() {
			continue
		}
		end := i + 1
		for end < len(lines) && !lines[end].mayAsk() && !lines[end].heading {
			end++
		}
		if end == i+1 {
			r.page.Skipped = append(r.page.Skipped, skippable(lines[i:end])...)
			continue
		}
		r.page.Entries = append(r.page.Entries, Entry{Line: lines[i].number, Question: unquoted(lines[i].text), Guidance: prose(lines[i+1 : end])})
		i = end - 1
	}
}

// nothingButQuestions reports a list of questions, below a title perhaps, none of
// which is another's guidance: some follow each other at once, and none comes
// again further down, as it would if they were a list of contents.
func nothingButQuestions(lines []line) bool {
	asked := make(map[string]bool)
	together := false
	for i, l := range lines {
		switch {
		case i > 0 && !l.mayAsk() && !questionOpening.MatchString(l.text), asked[l.text]:
			return false
		case i > 0 && l.mayAsk() && lines[i-1].mayAsk():
			together = true
		}
		asked[l.text] = true
	}
	return together
}

func skippable(lines []line) []Skipped {
	var out []Skipped
	for _, l := range lines {
		if l.mayAsk() {
			out = append(out, Skipped{l.number, l.text, "nothing follows it"})
		}
	}
	return out
}

// skips keeps of the lines left out those that no entry asks: a list of
// contents is not lost.
func (r *reader) skips() {
	r.page.Skipped = append(r.page.Skipped, skippable(r.loose)...)
	asked := make(map[string]bool)
	for _, e := range r.page.Entries {
		asked[strings.ToLower(e.Question)] = true
	}
	r.page.Skipped = slices.DeleteFunc(r.page.Skipped, func(s Skipped) bool { return asked[strings.ToLower(unquoted(s.Text))] })
}

// prose is paragraphs as one text. The items of a list that a colon leads up
// to become part of its sentence, for that is how they read.
func prose(lines []line) string {
	var out []string
	for i := 0; i < len(lines); i++ {
		t := strings.TrimSpace(lines[i].text)
		if strings.HasSuffix(t, ":") && i+1 < len(lines) && lines[i+1].item {
			var items []string
			for i+1 < len(lines) && lines[i+1].item {
				i++
				items = append(items, strings.TrimRight(strings.TrimSpace(lines[i].text), ".;,"))
			}
			t = strings.TrimSuffix(t, ":") + " " + joinItems(items) + "."
		}
		if t != "" {
			out = append(out, t)
		}
	}
	return strings.Join(out, "\n")
}

func joinItems(items []string) string {
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	return strings.Join(items[:len(items)-1], ", ") + ", and " + items[len(items)-1]
}
