{# Columns of a header of FOCUS: the invoice and the price at lists. #}
  InvoiceId: VARCHAR; invoice that the bill names, else seller, account, month and currency; null without a bill
  InvoiceIssuerName: VARCHAR; who issues the invoice, the seller where the bill does not say
  ListCost: DECIMAL(38,22); list unit price times pricing quantity; the billed cost for what has no unit price
  ListUnitPrice: DECIMAL(38,12); list amount by pricing quantity of the origin charge; null for what is neither use nor purchase
  PricingCategory: VARCHAR; Standard, Dynamic (flex) or Committed (provisioned, scale tier); null for what is neither use nor purchase
  PricingQuantity: DECIMAL(38,27); millions of tokens, or the list amount where nobody counted; null for what is neither use nor purchase
  PricingUnit: VARCHAR; 1000000 Tokens, or the currency where nobody counted; null where the quantity is
