// Package prompt turns a question and an answer into the messages and the
// reply schema that a model is sent. It is pure: it never calls a model, and
// the same input always renders to the same bytes.
//
// What is sent is ordered from the most stable to the least, so that prefix
// caches of providers and local servers pay: the rules (the same for every
// question), the question with its sample answer and criteria (the same for
// every answer), and last the answer. Rules and question make the system
// message; the answer is alone in the user message, as the last text of all,
// between tags whose name its author cannot guess.
//
// Criteria are called c1 to cn. Neither their own names nor any other text of
// the question enters the schema, so that schema and rules are one prefix for
// all questions with n criteria.
package prompt

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/template"

	"github.com/gradus-ai/gradus/internal/rubric"
)

// The roles of messages.
const (
	System    = "system"
	User      = "user"
	Assistant = "assistant"
)

// Message is one turn: Role is "system", "user" or "assistant".
type Message struct {
	Role string
	Text string
}

// Rendered is everything that would be sent for one request.
type Rendered struct {
	Messages   []Message
	Schema     json.RawMessage
	SchemaName string
}

// The templates, by the name of their file less ".tmpl". All are needed.
const (
	rulesTemplate      = "rules.v1"       // no data: how to judge
	questionTemplate   = "question.v1"    // a sheet: what was asked, what counts
	quoteRulesTemplate = "quote-rules.v1" // no data: how to judge passages alone
	quoteTemplate      = "quote.v1"       // a sheet with one criterion
	repairTemplate     = "repair.v1"      // a fault: what was wrong with a reply
)

var templateNames = []string{rulesTemplate, questionTemplate, quoteRulesTemplate, quoteTemplate, repairTemplate, draftTemplate, draftRepairTemplate}

// extension is what the files of templates end in; other files are not read.
const extension = ".tmpl"

// Prompts renders requests. It is safe for concurrent use.
type Prompts struct {
	templates  map[string]*template.Template
	rules      string
	quoteRules string
	draft      string
	digest     string
	schemas    sync.Map // number of criteria -> json.RawMessage
}

// sheet is what the templates about a question read. Every text is one line.
type sheet struct {
	Question string
	Intent   string
	Guidance string
	Sample   string
	Criteria []line
}

// line is one criterion as the templates read it. Kind is empty for a core
// criterion.
type line struct {
	ID        string
	Kind      string
	Statement string
	Partial   string
}

// fault is what the repair template reads.
type fault struct{ Fault string }

// New reads the templates from folders: a file in a later folder takes the
// place of the file of that name in an earlier one.
//
// Every template is tried on a question that has everything and on one that
// has only what it must have. A template that is missing, unknown (so also one
// of another version), broken, reads what does not exist, or leaves out the
// question or a criterion is an error that names its file.
func New(folders ...fs.FS) (*Prompts, error) {
	texts := map[string]string{}
	for _, folder := range folders {
		if err := readTemplates(folder, texts); err != nil {
			return nil, err
		}
	}
	p := &Prompts{templates: make(map[string]*template.Template, len(templateNames))}
	hash := sha256.New()
	fmt.Fprintf(hash, "schema %d\n", schemaVersion)
	for _, name := range templateNames {
		text, found := texts[name]
		if !found {
			return nil, fmt.Errorf("read prompts: %s%s is missing", name, extension)
		}
		parsed, err := template.New(name + extension).Option("missingkey=error").Parse(text)
		if err != nil {
			return nil, fmt.Errorf("parse prompt: %w", err)
		}
		p.templates[name] = parsed
		if name != draftTemplate && name != draftRepairTemplate {
			fmt.Fprintf(hash, "%s %d\n%s", name, len(text), text)
		}
	}
	p.digest = "sha256:" + hex.EncodeToString(hash.Sum(nil))
	return p, p.try()
}

func readTemplates(folder fs.FS, texts map[string]string) error {
	files, err := fs.Glob(folder, "*"+extension)
	if err != nil {
		return fmt.Errorf("read prompts: %w", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), extension)
		if !slices.Contains(templateNames, name) {
			return fmt.Errorf("read prompts: %s is not a template of this version, which has %s",
				file, strings.Join(templateNames, ", "))
		}
		text, err := fs.ReadFile(folder, file)
		if err != nil {
			return fmt.Errorf("read prompts: %w", err)
		}
		texts[name] = string(text)
	}
	return nil
}

// try renders everything once, so that a template fails when it is loaded and
// not with the first answer.
func (p *Prompts) try() error {
	var err error
	if p.rules, err = p.execute(rulesTemplate, struct{}{}); err != nil {
		return err
	}
	if p.quoteRules, err = p.execute(quoteRulesTemplate, struct{}{}); err != nil {
		return err
	}
	if p.draft, err = p.execute(draftTemplate, struct{}{}); err != nil {
		return err
	}
	full := sheet{Question: "question-probe", Intent: "intent", Guidance: "guidance", Sample: "sample"}
	for i, kind := range []string{"", string(rubric.Bonus), string(rubric.Pitfall)} {
		id := CriterionName(i)
		full.Criteria = append(full.Criteria, line{ID: id, Kind: kind, Statement: id + "-probe", Partial: "partial"})
	}
	minimal := sheet{Question: full.Question, Criteria: []line{{ID: CriterionName(0), Statement: "c1-probe"}}}
	for _, name := range []string{questionTemplate, quoteTemplate} {
		for _, s := range []sheet{full, minimal} {
			text, err := p.execute(name, s)
			if err != nil {
				return err
			}
			if !strings.Contains(text, s.Question) {
				return fmt.Errorf("check prompt %s%s: it leaves out the question", name, extension)
			}
			for _, c := range s.Criteria {
				if !strings.Contains(text, c.Statement) {
					return fmt.Errorf("check prompt %s%s: it leaves out a criterion", name, extension)
				}
			}
		}
	}
	for _, name := range []string{repairTemplate, draftRepairTemplate} {
		text, err := p.execute(name, fault{"fault-probe"})
		if err != nil {
			return err
		}
		if !strings.Contains(text, "fault-probe") {
			return fmt.Errorf("check prompt %s%s: it leaves out the fault", name, extension)
		}
	}
	return nil
}

// Digest is "sha256:HEX" of all templates by which answers are graded and the
// version of the reply schema: two Prompts with the same digest render the same
// bytes about an answer.
func (p *Prompts) Digest() string { return p.digest }

// CriterionName is what the criterion at index (from 0) is called in a prompt
// and in its reply: c1, c2, …
func CriterionName(index int) string { return "c" + strconv.Itoa(index+1) }

// Grade asks for a verdict on every criterion of q in one call. mark names the
// tags around the answer; it must be hard to guess for the answer's author.
// The error is that of a template which reads what only some questions lack.
func (p *Prompts) Grade(q *rubric.Question, answer, mark string) (Rendered, error) {
	return p.render(p.rules, questionTemplate, q, q.Criteria, fence(answer, mark))
}

// Criterion asks for a verdict on the criterion of q at index alone, which is
// c1 in the reply. It is the same question in the same words as Grade, with
// the other criteria left out: a second look is not told that it is one, and
// so is not pushed either way.
func (p *Prompts) Criterion(q *rubric.Question, index int, answer, mark string) (Rendered, error) {
	return p.render(p.rules, questionTemplate, q, q.Criteria[index:index+1], fence(answer, mark))
}

// Quote asks whether quotes show the criterion of q at index, which is c1 in
// the reply. Nothing else of the answer is in it, nor is the sample answer:
// little room is left for text that talks the reader into something.
func (p *Prompts) Quote(q *rubric.Question, index int, quotes []string, mark string) (Rendered, error) {
	passages := make([]string, len(quotes))
	for i, quote := range quotes {
		passages[i] = "- " + oneLine(quote)
	}
	return p.render(p.quoteRules, quoteTemplate, q, q.Criteria[index:index+1], fence(strings.Join(passages, "\n"), mark))
}

// Repair is the turns that follow a reply that could not be used: the reply
// itself, as far as it matters, and what is wrong with it. fault must be our
// own words; nothing of the answer belongs into it.
func (p *Prompts) Repair(reply, what string) ([]Message, error) {
	return p.repair(repairTemplate, reply, what)
}

func (p *Prompts) repair(name, reply, what string) ([]Message, error) {
	text, err := p.execute(name, fault{what})
	if err != nil {
		return nil, err
	}
	if reply = clip(reply, repairLimit); strings.TrimSpace(reply) == "" {
		reply = "{}" // some endpoints refuse an empty turn
	}
	return []Message{{Assistant, reply}, {User, text}}, nil
}

// repairLimit is how much of an unusable reply is sent back, in bytes: enough
// for the verdicts of fifty criteria, too little for a flood.
const repairLimit = 16 << 10

func (p *Prompts) render(rules, name string, q *rubric.Question, criteria []rubric.Criterion, data string) (Rendered, error) {
	if len(criteria) == 0 {
		return Rendered{}, errors.New("render prompt: the question has no criteria")
	}
	s := sheet{
		Question: oneLine(q.Text),
		Intent:   oneLine(q.Intent),
		Guidance: oneLine(q.Guidance),
		Sample:   oneLine(q.SampleAnswer),
		Criteria: make([]line, len(criteria)),
	}
	for i, c := range criteria {
		l := line{ID: CriterionName(i), Statement: oneLine(c.Statement), Partial: oneLine(c.Partial)}
		if c.Kind != rubric.Core {
			l.Kind = string(c.Kind)
		}
		s.Criteria[i] = l
	}
	text, err := p.execute(name, s)
	if err != nil {
		return Rendered{}, err
	}
	return Rendered{
		Messages:   []Message{{System, rules + "\n\n" + text}, {User, data}},
		Schema:     p.Schema(len(criteria)),
		SchemaName: schemaName(len(criteria)),
	}, nil
}

// execute fills in a template; white space around the result is of the file,
// not of the prompt.
func (p *Prompts) execute(name string, data any) (string, error) {
	var b strings.Builder
	if err := p.templates[name].Execute(&b, data); err != nil {
		return "", fmt.Errorf("render prompt: %w", err)
	}
	return strings.TrimSpace(b.String()), nil
}

// fence puts data between tags that carry the mark. Nothing follows it.
func fence(data, mark string) string {
	return "<answer-" + mark + ">\n" + inert(data) + "\n</answer-" + mark + ">"
}
