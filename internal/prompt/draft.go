package prompt

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
)

// The templates that draft criteria. They are no part of Digest, for no grade
// depends on them.
const (
	draftTemplate       = "draft.v1"        // no data: how to draft
	draftRepairTemplate = "draft-repair.v1" // a fault: what was wrong with a draft
)

// Fewest and most criteria that a draft is asked for.
const (
	FewestDrafted = 5
	MostDrafted   = 9
)

// Page is what stands on a page about one question. Empty parts are left out.
type Page struct {
	Question, Kind, Intent, Guidance, SampleAnswer string
}

// Draft asks for criteria of the question on a page. All of the page is data:
// it is alone in the user message, between tags that carry the mark, which must
// be hard to guess for whoever wrote it.
func (p *Prompts) Draft(page Page, mark string) Rendered {
	var b strings.Builder
	for _, part := range []struct{ name, text string }{
		{"QUESTION", page.Question}, {"KIND", page.Kind}, {"INTENT", page.Intent},
		{"GUIDANCE", page.Guidance}, {"SAMPLE ANSWER", page.SampleAnswer},
	} {
		if text := oneLine(part.text); text != "" {
			b.WriteString("\n\n" + part.name + "\n" + text)
		}
	}
	data := pageTag.ReplaceAllString(strings.TrimSpace(b.String()), string(wideLess)+"$1")
	return Rendered{
		Messages:   []Message{{System, p.draft}, {User, "<page-" + mark + ">\n" + data + "\n</page-" + mark + ">"}},
		Schema:     draftSchema,
		SchemaName: "criteria",
	}
}

// pageTag imitates the tags around a page.
var pageTag = regexp.MustCompile(`(?i)<([\s/]{0,8}page)`)

// RepairDraft is the turns that follow a draft that could not be used, as
// Repair is for verdicts.
func (p *Prompts) RepairDraft(reply, what string) ([]Message, error) {
	return p.repair(draftRepairTemplate, reply, what)
}

// draftSchema is the JSON Schema of a draft, in the strict profile.
var draftSchema = json.RawMessage(`{"type":"object","properties":{"criteria":{"type":"array","minItems":` + strconv.Itoa(FewestDrafted) + `,"maxItems":` + strconv.Itoa(MostDrafted) +
	`,"items":{"type":"object","properties":{` +
	`"statement":{"type":"string"},` +
	`"kind":{"type":"string","enum":["core","bonus","pitfall"]},` +
	`"weight":{"type":"integer","minimum":1,"maximum":25},` +
	`"partial":{"type":"string"},` +
	`"hint":{"type":"string"},` +
	`"signal":{"type":"string","enum":["none","quantified","own_actions","prioritised"]},` +
	`"phrases":{"type":"array","items":{"type":"string"}}},` +
	`"required":["statement","kind","weight","partial","hint","signal","phrases"],"additionalProperties":false}}},` +
	`"required":["criteria"],"additionalProperties":false}`)
