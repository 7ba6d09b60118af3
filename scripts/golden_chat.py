"""Writes internal/chat/testdata/cases.json: conversations that transformers
renders with templates written for this purpose.

    python scripts/golden_chat.py
"""

import json
import os

import transformers
from transformers.utils.chat_template_utils import render_jinja_template

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "internal", "chat", "testdata")

CHATML = ("{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
          "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
HEADERS = """{{- bos_token }}
{%- set ns = namespace(system='', turns=0) %}
{%- if messages[0].role == 'system' %}
    {%- set ns.system = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set ns.system = "You are 'kind'." %}
{%- endif %}
{{- '[sys]' ~ ns.system ~ '[/sys]' }}
{%- for message in messages %}
    {%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('Roles must alternate user/assistant') }}
    {%- endif %}
    {%- set ns.turns = ns.turns + 1 %}
    {#- a comment with {{ braces }} #}
    {%- if message.content is string and message.content | trim | length > 0 %}
    {{- '\\n[' + message['role'] | upper + ' ' + ns.turns | string + ']' + message.content.strip() }}
    {%- elif not loop.last %}[empty]{% endif %}
{%- endfor %}
{%- if add_generation_prompt is defined and add_generation_prompt %}
    {{- '\\n[ASSISTANT]' }}
{%- endif %}
"""
TERNARY = ("{% for m in messages %}{{ ('<U>' if m.role == 'user' else '<A>' if m.role == 'assistant' else '<S>') ~ m.content ~ ('.' if loop.last else ';') }}"
           "{% set x = ('y' if m.content else 'n') ~ '!' %}{{ x }}{{ {'a': 'b' if m.content == '' else 'c'}['a'] }}"
           "{{ [1 if loop.first else 2, 3][0] }}{{ 'in' if m.role in ['user', 'system'] else 'out' }}{% endfor %}")
GENERATION = ("{% for m in messages %}{% if m.role == 'assistant' %}A:{% generation %}{{ m.content }}{{ eos_token }}{% endgeneration %}\n"
              "{% else %}{{ m.role }}:{{ m.content }}\n{% endif %}{% endfor %}")
TOOLS = ("{% if tools %}{% for t in tools %}{{ t | tojson }}\n{{ t | tojson(indent=4) }}\n{% for k, v in t.items() %}{{ k }}={{ v | tojson }},{% endfor %}{% endfor %}{% endif %}"
         "{% for m in messages %}{{ m | tojson }}{% if m.tool_calls is defined %}{% for c in m.tool_calls %}{{ c.function.name }}{{ c.function.arguments | tojson }}{% endfor %}{% endif %}\n{% endfor %}")
MACRO = ("{% macro turn(role, text='none') %}<{{ role }}>{{ text }}</{{ role }}>{% endmacro %}"
         "{% for m in messages | rejectattr('role', 'equalto', 'system') %}{{ turn(m.role, m.content.replace('\n', ' ').split('</think>')[-1].lstrip()) }}"
         "{%- if loop.first %} {% continue %}{% endif %}{{ loop.index }}/{{ loop.length }}{% if loop.index > 3 %}{% break %}{% endif %}{% endfor %}"
         "{{ messages | map(attribute='role') | join(',') }}{{ messages[::-1][0].content | default('x', true) }}{% raw %}{{ raw }}{% endraw %}")
WHITESPACE = "\n{% for m in messages %}\n  {% if m.role == 'user' %}\n    U {{ m.content }}  \n  {% else %}\n{{ m.content -}}  \n\n  {% endif %}\n{% endfor %}\nend \n\n"

CONVERSATIONS = {
    "one": [{"role": "user", "content": "Hi <b>&</b> \"you\" 'all'"}],
    "system": [{"role": "system", "content": " Be brief.\n"}, {"role": "user", "content": "Two\nlines "},
               {"role": "assistant", "content": "Fine. 日本 🙂"}],
    "long": [{"role": r, "content": f"{r} {i} </think>\n\nsays é"} for i, r in enumerate(["user", "assistant"] * 4)],
    "empty": [{"role": "user", "content": ""}, {"role": "assistant", "content": ""}],
    "twice": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}],
    "calls": [{"role": "user", "content": "Weather?"}, {"role": "assistant", "content": "", "tool_calls": [
        {"type": "function", "function": {"name": "weather",
                                          "arguments": {"zone": "Zürich", "alpha": 1.5, "big": 1e22, "n": -3,
                                                        "ok": True, "none": None, "list": [1, [], {}]}}}]}],
}
TOOL = [{"type": "function", "function": {"name": "weather", "description": "What's <up>?\t\x07",
                                          "parameters": {"z": {"type": "string"}, "a": {"enum": [1e-7, 2.0, 100]}}}}]


def main():
    cases = []
    for name, source in {"chatml": CHATML, "headers": HEADERS, "ternary": TERNARY, "generation": GENERATION,
                         "tools": TOOLS, "macro": MACRO, "whitespace": WHITESPACE}.items():
        for conversation, messages in CONVERSATIONS.items():
            for prompt in [False, True]:
                case = {"template": name, "source": source, "conversation": conversation, "messages": messages,
                        "prompt": prompt, "tools": TOOL if name == "tools" else None}
                try:
                    out, marks = render_jinja_template([messages], tools=case["tools"], chat_template=source,
                                                       add_generation_prompt=prompt,
                                                       return_assistant_tokens_mask=name == "generation" and not prompt,
                                                       bos_token="<s>", eos_token="</s>")
                    case["out"], case["marks"] = out[0], marks[0] if marks else None
                except Exception as e:
                    case["error"] = str(e)
                cases.append(case)
    os.makedirs(ROOT, exist_ok=True)
    with open(os.path.join(ROOT, "cases.json"), "w", encoding="utf-8", newline="\n") as f:
        json.dump({"transformers": transformers.__version__, "cases": cases}, f, ensure_ascii=False,
                  separators=(",", ":"))
        f.write("\n")


if __name__ == "__main__":
    main()
