package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/gradus-ai/gradus/internal/access"
	"github.com/gradus-ai/gradus/internal/app"
	"github.com/gradus-ai/gradus/internal/config"
	"github.com/gradus-ai/gradus/internal/store"
)

func newKeys(tty *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Make, list and revoke API keys",
		Long: "API keys that all services on the same Redis accept (REDIS_URL). Once the first is\n" +
			"made, those services want a key; revoking the last does not open them again.\n" +
			"A key is kept as a digest only: it is shown once, when it is made.",
		Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	config.StoreFlags(cmd.PersistentFlags())
	cmd.AddCommand(newKeysCreate(tty), newKeysList(tty), newKeysRevoke(tty))
	return cmd
}

// openKeys is where keys are stored.
func openKeys(cmd *cobra.Command, tty *terminal) (*store.Store, error) {
	cfg, err := settings(cmd)
	if err != nil {
		return nil, err
	}
	return app.OpenKeys(cmd.Context(), cfg, logger(cfg, tty.err))
}

func newKeysCreate(tty *terminal) *cobra.Command {
	var (
		asJSON          bool
		scopes, expires string
		wanted          access.Key
	)
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a key",
		Long: "Makes a key and prints it, once: nobody can show it again. Limits that are left\n" +
			"out are those of the service (GRADUS_KEY_RATE and so on).",
		Example: "gradus keys create --tenant acme --name ci --expires 90d\nKEY=$(gradus keys create --scope read)",
		Args:    takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			now := time.Now().UTC().Truncate(time.Second)
			clear, key := access.New()
			key.Tenant, key.Name, key.Limits, key.Created = wanted.Tenant, wanted.Name, wanted.Limits, now
			var err error
			if key.Scopes, err = access.ParseScopes(scopes); err != nil {
				return usage(fmt.Errorf("--scope: %w", err))
			}
			if expires != "" {
				after, err := config.ParseDuration(expires)
				if err == nil && after <= 0 {
					err = errors.New("want some time from now, such as 90d")
				}
				if err != nil {
					return usage(fmt.Errorf("--expires: %w", err))
				}
				key.Expires = now.Add(after)
			}
			if err := errors.Join(access.CheckTenant(key.Tenant), access.CheckName(key.Name), key.Limits.Check()); err != nil {
				return usage(err)
			}
			kept, err := openKeys(cmd, tty)
			if err != nil {
				return err
			}
			defer func() { _ = kept.Close() }() // the key is stored or it is not
			if err := kept.CreateKey(cmd.Context(), key); err != nil {
				return err
			}
			if asJSON {
				return printJSON(tty.out, struct {
					Key string `json:"key"`
					keyRow
				}{clear, row(key, now)})
			}
			fmt.Fprintf(tty.err, "%s for tenant %s, scopes %s, expires %s\nThe key is shown this once:\n", key.ID, key.Tenant, key.Scopes, until(key.Expires, now))
			_, err = fmt.Fprintln(tty.out, clear)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&wanted.Tenant, "tenant", access.TenantConfigured, "whose key it is: tenants see nothing of each other")
	flags.StringVar(&wanted.Name, "name", "", "what it is for, to tell it from others")
	flags.StringVar(&scopes, "scope", access.DefaultScopes.String(), "what it may do: a list of grade, read and admin")
	flags.StringVar(&expires, "expires", "", "how long it is valid, such as 90d (default: until it is revoked)")
	flags.IntVar(&wanted.Limits.Rate, "rate", 0, "most requests a minute (0: as the service sets)")
	flags.IntVar(&wanted.Limits.InFlight, "in-flight", 0, "most answers being graded at once (0: as the service sets)")
	flags.Int64Var(&wanted.Limits.DailyTokens, "daily-tokens", 0, "most tokens of models a day, UTC (0: as the service sets)")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newKeysList(tty *terminal) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the keys that were made, without the keys themselves",
		Args:  takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			kept, err := openKeys(cmd, tty)
			if err != nil {
				return err
			}
			defer func() { _ = kept.Close() }() // nothing was written
			keys, err := kept.Keys(cmd.Context())
			if err != nil {
				return err
			}
			rows := make([]keyRow, len(keys))
			for i, key := range keys {
				rows[i] = row(key, time.Now())
			}
			if asJSON {
				return printJSON(tty.out, rows)
			}
			return printKeys(tty.out, rows)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newKeysRevoke(tty *terminal) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "revoke ID",
		Short:   "Make a key open nothing from now on",
		Long:    "Makes a key open nothing from now on; every service stops taking it within five\nseconds. Batches it has sent go on. Revoking twice is not an error.",
		Example: "gradus keys revoke key_3q7xk2mz5dyn4w6ahbtc",
		Args:    takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id := args[0]
			if access.Genuine(id) {
				return usage(errors.New("this is a key: name it by its id, which gradus keys list shows"))
			}
			kept, err := openKeys(cmd, tty)
			if err != nil {
				return err
			}
			defer func() { _ = kept.Close() }() // the key is revoked or it is not
			first, err := kept.RevokeKey(cmd.Context(), id)
			if errors.Is(err, access.ErrUnknown) {
				return usage(errors.New("no key has this id: gradus keys list shows those there are"))
			}
			if err != nil {
				return err
			}
			switch {
			case asJSON:
				return printJSON(tty.out, struct {
					ID      string `json:"id"`
					Already bool   `json:"already_revoked"`
				}{id, !first})
			case first:
				fmt.Fprintln(tty.err, id, "is revoked: within five seconds it opens nothing")
			default:
				fmt.Fprintln(tty.err, id, "had been revoked already")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// keyRow is a key as it is listed.
type keyRow struct {
	State string `json:"state"` // active, expired or revoked
	access.Key
}

func row(key access.Key, now time.Time) keyRow {
	switch err := key.Valid(now); {
	case errors.Is(err, access.ErrRevoked):
		return keyRow{"revoked", key}
	case err != nil:
		return keyRow{"expired", key}
	}
	return keyRow{"active", key}
}

func printKeys(w io.Writer, rows []keyRow) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tKEY\tTENANT\tSCOPES\tSTATE\tCREATED\tLAST USED\tEXPIRES\tLIMITS\tNAME")
	for _, r := range rows {
		cells := []string{r.ID, r.Prefix + "…", r.Tenant, r.Scopes.String(), r.State, day(r.Created), minute(r.LastUsed), day(r.Expires), limits(r.Limits), r.Name}
		for i := range cells {
			cells[i] = plain(cells[i])
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	return table.Flush()
}

func day(t time.Time) string    { return moment(t, time.DateOnly) }
func minute(t time.Time) string { return moment(t, "2006-01-02 15:04") }

// until is an expiry: to the minute where that matters.
func until(t, now time.Time) string {
	if t.Sub(now) < 48*time.Hour {
		return minute(t)
	}
	return day(t)
}

func moment(t time.Time, layout string) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(layout)
}

func limits(l access.Limits) string {
	var parts []string
	if l.Rate > 0 {
		parts = append(parts, fmt.Sprintf("%d/min", l.Rate))
	}
	if l.InFlight > 0 {
		parts = append(parts, fmt.Sprintf("%d at once", l.InFlight))
	}
	if l.DailyTokens > 0 {
		parts = append(parts, fmt.Sprintf("%d tokens/day", l.DailyTokens))
	}
	if parts == nil {
		return "as the service sets"
	}
	return strings.Join(parts, ", ")
}
