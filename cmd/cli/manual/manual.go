// Package manual writes manual pages: lbctl(1) and one for each command, from the commands themselves, and lbctl.yaml(5) from the
// wire types, so that none can say what is not so.
package manual

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"lbctl/cmd/cli"
	"lbctl/control/api"
)

// Command writes the pages of the program to which it belongs. example is a configuration file.
func Command(a *cli.App, example []byte) *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual pages: section 1 for every command, and lbctl.yaml(5)",
		Long: `Write the manual pages into a directory, which is made if it is missing: section 1 for lbctl and every command, and
lbctl.yaml(5) for the configuration file. The text is that of --help, and of the schema. Pages that are there are replaced.`,
		Example: `  lbctl man /usr/local/share/man && man lbctl-drain
  lbctl man . && man -l man5/lbctl.yaml.5`,
		Args: cli.Takes("DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			return write(c.Root(), args[0], example)
		},
	}
}

// write writes the pages. They bear no date: the same program writes the same pages.
func write(root *cobra.Command, dir string, example []byte) error {
	one, five := filepath.Join(dir, "man1"), filepath.Join(dir, "man5")
	if err := errors.Join(os.MkdirAll(one, 0o755), os.MkdirAll(five, 0o755)); err != nil {
		return err
	}
	version, pages := cli.ThisBuild().Version, map[string][]byte{}
	root.DisableAutoGenTag = true
	if err := commandPages(root, version, pages); err != nil {
		return fmt.Errorf("write manual pages: %w", err)
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(one, name), text, 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(five, "lbctl.yaml.5"), configPage(version, example), 0o644)
}

// commandPages makes the page of a command and of those below it, by file name.
func commandPages(c *cobra.Command, version string, pages map[string][]byte) error {
	for _, below := range c.Commands() {
		if !below.IsAvailableCommand() || below.IsAdditionalHelpTopicCommand() {
			continue
		}
		if err := commandPages(below, version, pages); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	dated := time.Time{}
	if err := doc.GenMan(c, &doc.GenManHeader{Section: "1", Source: "lbctl " + version, Manual: "lbctl", Date: &dated}, &b); err != nil {
		return err
	}
	// GenMan writes no page without a date: it is taken out again.
	date := dated.Format(`"Jan 2006"`)
	pages[strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"] = bytes.Replace(b.Bytes(), []byte(date), []byte(`""`), 1)
	return nil
}

// configPage is lbctl.yaml(5).
func configPage(version string, example []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, ".TH \"LBCTL.YAML\" \"5\" \"\" \"lbctl %s\" \"lbctl\"\n", version)
	b.WriteString(".SH NAME\nlbctl.yaml \\- the configuration file of lbctl\n.SH DESCRIPTION\n")
	b.WriteString("A configuration file is YAML. It is read strictly: an unknown field is an error with its line and column.\n" +
		"lbctl check \\-f says whether a file is right, lbctl apply \\-f and lbctl serve \\-f take it.\n.SH FIELDS\n")
	describe(&b, reflect.TypeFor[api.Config](), "")
	b.WriteString(".SH EXAMPLE\n.nf\n")
	for line := range strings.Lines(string(example)) {
		b.WriteString(roff(line))
	}
	b.WriteString(".fi\n.SH SEE ALSO\nlbctl\\-check(1), lbctl\\-apply(1), lbctl\\-schema(1), lbctl\\-init(1)\n")
	return b.Bytes()
}

// describe writes the fields of a type, and those below.
func describe(b *bytes.Buffer, t reflect.Type, path string) {
	for n := range t.NumField() {
		f := t.Field(n)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		kind, list := f.Type, ""
		for kind.Kind() == reflect.Pointer || kind.Kind() == reflect.Slice {
			if kind.Kind() == reflect.Slice {
				list = "[]"
			}
			kind = kind.Elem()
		}
		fmt.Fprintf(b, ".TP\n\\fB%s\\fP\n", strings.TrimSuffix(roff(path+name+list+"\n"), "\n"))
		text := f.Tag.Get("doc")
		if words := f.Tag.Get("enum"); words != "" {
			text += " One of: " + strings.ReplaceAll(words, ",", ", ") + "."
		}
		b.WriteString(roff(strings.TrimSpace(text) + "\n"))
		if kind.Kind() == reflect.Struct {
			describe(b, kind, path+name+list+".")
		}
	}
}

// roff escapes a line.
func roff(line string) string {
	line = strings.NewReplacer(`\`, `\e`, "-", `\-`, "\t", "    ").Replace(line)
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		line = `\&` + line
	}
	return line
}
