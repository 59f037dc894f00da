"""``explain``: one cost, from the provider's usage object to dollars."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pipelines.cli.arguments import EXIT_FAILED, AsJson, Root, books_root
from pipelines.cli.printing import complain, exact, print_json, print_table
from pipelines.words import things


def explain(
    request: Annotated[
        str, typer.Argument(help="A call: its request_key, or an id that its source or provider gave it.")
    ],
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show one cost from the provider's usage object to dollars: classes, rates and their sources, owner, invoice."""
    from pipelines.prices.explain import NotOneRequest
    from pipelines.prices.explain import explain as explained

    data = books_root(root)
    try:
        content = explained(data, request)
    except NotOneRequest as error:
        complain(str(error))
        raise typer.Exit(EXIT_FAILED) from None
    if as_json:
        print_json(content)
    else:
        _print_explanation(content)


def _print_explanation(content: dict[str, Any]) -> None:
    from pipelines.unread import in_words

    where = f"{content['file']}, line {content['line']}" if content["file"] else content["source"]
    print(f"Call         {content['request_key']} ({content['status']}), {content['started_at']:%Y-%m-%dT%H:%M:%S.%fZ}")
    print(f"Read from    {where}, there {content['source_row_id']!r}")
    resolved = (
        f"{content['model_canonical']!r} by {content['resolved_by']}"
        if content["resolved_by"]
        else "no model of the book"
    )
    print(f"Model        {content['provider']} {content['model_served']!r} means {resolved}")
    if content["conditions"]:
        print(f"Priced as    {', '.join(str(word) for word in content['conditions'].values())}")
    print(f"Usage        {content['usage_shape'] or 'none'}: {content['usage_raw']}")
    if content["usage_flags"]:
        print(f"Flags        {', '.join(content['usage_flags'])}")
    for key in content["unread"]:
        print(f"Unread       {in_words(key)}: {things(key['unread_tokens'], 'token')}; {key['remedy']}")
    print_table(content["classes"], "No tokens and no other units.")
    lacks = ", ".join(content["classes_without_rate"])
    why = f" ({content['cost_reason']}{f': {lacks}' if lacks else ''})" if content["cost_reason"] else ""
    print(
        f"Cost         {content['cost_status']}{why}: list {exact(content['list_cost_usd'])}, contracted "
        f"{exact(content['contracted_cost_usd'])}, effective {exact(content['effective_cost_usd'])}"
    )
    if content["cost_estimate_usd"] is not None:
        print(f"Estimate     {exact(content['cost_estimate_usd'])}, in no total")
    if content["cost_reported_usd"] is not None:
        print(f"Stated       {exact(content['cost_reported_usd'])} by the source")
    if content["list_cost_native"] is not None:
        print(
            f"Stated in    {content['price_currency']} {content['list_cost_native'].normalize():f} at list prices, "
            f"{content['fx_rate_to_usd'].normalize():f} USD each since {content['fx_rate_date']}"
        )
    for price in content["prices"]:
        print(
            f"Price        {price['unit']} {price['unit_price'].normalize():f} {price['currency']} for {price['per_units']:,}: "
            f"{price['confidence']}, {price['source_ref']}"
        )
    for row in content["attribution"]:
        print(f"{row['dimension']:12s} {row['value']}" + (f" ({row['source']})" if row["source"] else ""))
    invoice = content["invoice"]
    if invoice is None:
        print("Invoice      no row of the showback holds this call")
    else:
        # No bill yet: an accrual.
        word = "Accrued     " if invoice["allocation_basis"] == "effective_cost" else "Invoice     "
        print(
            f"{word} {invoice['billing_month']}, week of {invoice['week_start_date']}: "
            f"{exact(invoice.get('call_invoiced_usd'))} of {exact(invoice['invoiced_cost_usd'])} by {invoice['allocation_basis']}"
        )
