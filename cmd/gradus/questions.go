package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"charm.land/lipgloss/v2"

	"github.com/gradus-ai/gradus/internal/app"
	"github.com/gradus-ai/gradus/internal/rubric"
)

func newQuestions(tty *terminal) *cobra.Command {
	var asJSON, sample, prompt bool
	cmd := &cobra.Command{
		Use:   "questions [SET | SET/QUESTION]",
		Short: "List questions, or show one",
		Long: "Lists every question, those of one set, or shows one question with its criteria.\n" +
			"With --prompt it prints exactly what a model would be sent, around a stand-in answer.",
		Example: "gradus questions\ngradus questions lead-platform-engineer/first-90-days --sample",
		Args:    takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := open(cmd, tty)
			if err != nil {
				return err
			}
			defer a.Close()
			if len(args) == 1 && strings.Contains(args[0], "/") {
				question, err := a.Library().Find(args[0])
				switch {
				case err != nil:
					return err
				case prompt:
					return printPrompt(tty.out, a, question)
				case asJSON:
					shown := *question
					if !sample {
						shown.SampleAnswer = ""
					}
					return printJSON(tty.out, &shown)
				default:
					return printQuestion(tty, question, sample)
				}
			}
			if prompt || sample {
				return usage(errors.New("--prompt and --sample show one question: name it as SET/QUESTION"))
			}
			sets := a.Library().Sets()
			if len(args) == 1 {
				set, err := a.Library().Set(args[0])
				if err != nil {
					return err
				}
				sets = []*rubric.Set{set}
			}
			return listQuestions(tty, sets, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&sample, "sample", false, "show the sample answer too")
	cmd.Flags().BoolVar(&prompt, "prompt", false, "print exactly what a model would be sent")
	return cmd
}

// standInAnswer takes the answer's place where a prompt is shown.
const standInAnswer = "(the answer stands here)"

func printPrompt(w io.Writer, a *app.App, q *rubric.Question) error {
	rendered, err := a.Prompts().Grade(q, standInAnswer, "MARK")
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, m := range rendered.Messages {
		fmt.Fprintf(&b, "--- %s\n%s\n", m.Role, m.Text)
	}
	fmt.Fprintf(&b, "--- reply schema (%s)\n%s\n", rendered.SchemaName, rendered.Schema)
	fmt.Fprintf(&b, "--- prompt digest %s\n", a.Prompts().Digest())
	_, err = io.WriteString(w, b.String())
	return err
}

func listQuestions(tty *terminal, sets []*rubric.Set, asJSON bool) error {
	if asJSON {
		type row struct {
			QuestionID string      `json:"question_id"`
			Kind       rubric.Kind `json:"kind"`
			Question   string      `json:"question"`
		}
		rows := []row{}
		for _, set := range sets {
			for _, q := range set.Questions {
				rows = append(rows, row{q.Ref, q.Kind, q.Text})
			}
		}
		return printJSON(tty.out, rows)
	}
	p := &page{width: tty.width}
	for i, set := range sets {
		if i > 0 {
			p.line()
		}
		p.line(bold.Render(plain(set.Title)))
		for _, q := range set.Questions {
			p.line("  ", q.Ref, faint.Render("  "+string(q.Kind)))
			p.prose(4, lipgloss.NewStyle(), q.Text)
		}
	}
	_, err := io.WriteString(tty.out, p.String())
	return err
}

func printQuestion(tty *terminal, q *rubric.Question, sample bool) error {
	p := &page{width: tty.width}
	p.line(bold.Render(q.Ref), faint.Render("  "+string(q.Kind)))
	p.prose(0, lipgloss.NewStyle(), q.Text)
	section := func(title, text string) {
		if text == "" {
			return
		}
		p.line()
		p.line(bold.Render(title))
		p.prose(2, lipgloss.NewStyle(), text)
	}
	section("What they want to learn", q.Intent)
	section("Guidance", q.Guidance)
	p.line()
	p.line(bold.Render("Criteria"))
	for _, c := range q.Criteria {
		kind := ""
		if c.Kind != rubric.Core {
			kind = "  " + string(c.Kind)
		}
		p.line(fmt.Sprintf("  %5g  ", c.Weight), c.ID, faint.Render(kind))
		p.prose(9, lipgloss.NewStyle(), c.Statement)
	}
	if sample {
		section("One good answer", q.SampleAnswer)
	}
	_, err := io.WriteString(tty.out, p.String())
	return err
}

func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
